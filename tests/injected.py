"""Code that real processes of a run execute on top of their own: how a test breaks what computes, without touching the project."""

import os
from pathlib import Path

import pytest

HOOK = '''
import sys
from importlib.machinery import PathFinder

MODULE, CODE = {module!r}, {code!r}


class Finder(PathFinder):
    """Runs the code in its module once that is imported; Python imports sitecustomize when it starts."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = PathFinder.find_spec(name, path, target) if name == MODULE else None
        if found is not None:
            load = found.loader.exec_module

            def exec_module(module):
                load(module)
                exec(CODE, vars(module))

            found.loader.exec_module = exec_module
        return found


sys.meta_path.insert(0, Finder)
'''


def inject(monkeypatch: pytest.MonkeyPatch, folder: Path, module: str, code: str) -> None:
    """Let every interpreter that is started from now on execute code in a module, right after it was imported."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(HOOK.format(module=module, code=code))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
