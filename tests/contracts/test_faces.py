"""Packages of engine and workers are used through their faces, and a face loads nothing before it is asked."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 30
STUBS = sorted((*(ROOT / "engine").rglob("*.pyi"), *(ROOT / "workers").rglob("*.pyi")))
PACKAGES = sorted(path.parent for floor in ("engine", "workers") for path in (ROOT / floor).rglob("__init__.py"))
NAMES = {".".join(path.relative_to(ROOT).parts): path for path in PACKAGES}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of each import of a file; `from a import b` gives a.b where that is a module or a package, else a."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                inner = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file()
                yield node.lineno, f"{node.module}.{alias.name}" if is_module else node.module


def exported(package: str) -> set[str]:
    """The names that a package's face gives: of its stub, else what its `__init__` defines or imports."""
    stub = NAMES[package] / "__init__.pyi"
    source = stub if stub.is_file() else NAMES[package] / "__init__.py"
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def why_not(module: str, importer: str) -> str | None:
    """Why a file of package `importer` may not import a module; None where it may."""
    if module in NAMES or module.split(".")[0] not in ("engine", "workers"):
        return None
    package, _, name = module.rpartition(".")
    if importer == package or importer.startswith(package + "."):
        return None
    return None if name in exported(package) else f"imports {module} past the face of {package}"


def files() -> list[Path]:
    return sorted(path for floor in ("engine", "workers", "ui") for path in (ROOT / floor).rglob("*.py"))


def test_outside_a_package_only_its_face_is_imported() -> None:
    faults = []
    for path in files():
        importer = ".".join(path.parent.relative_to(ROOT).parts)
        for line, module in imports(path):
            if why := why_not(module, importer):
                faults.append(f"{path.relative_to(ROOT)}:{line} {why}")
    assert not faults, "\n".join(faults)


def test_the_rule_sees_an_import_past_a_face() -> None:
    assert why_not("engine.runs.read", "ui.runs") == "imports engine.runs.read past the face of engine.runs"
    assert why_not("engine.runs.read", "engine.driver")
    assert why_not("engine.runs.read", "engine.runs") is None
    assert why_not("engine.runs", "ui.runs") is None
    assert why_not("engine.runs.store", "engine.driver") is None, "the face gives this module"


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_every_name_of_a_face_resolves(stub: Path) -> None:
    module = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    names = exported(module.__name__)
    assert names
    assert names == set(dir(module)) & names
    for name in names:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_face_is_short_and_says_what_its_package_is_for(package: Path) -> None:
    source = (package / "__init__.py").read_text(encoding="utf-8")
    assert len((ast.get_docstring(ast.parse(source)) or "").split()) >= 4, f"{package} has no docstring that says what it is for"
    for face in (package / "__init__.py", package / "__init__.pyi"):
        if face.is_file():
            lines = [line for line in face.read_text(encoding="utf-8").splitlines() if line.strip() and not line.lstrip().startswith("#")]
            assert len(lines) <= MOST_LINES, f"{face} has {len(lines)} lines"


def loaded(code: str) -> set[str]:
    """Every module that a fresh interpreter has loaded after running some code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint('loaded', *sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["compare", "--help"]], ids=" ".join)
def test_help_loads_neither_data_nor_training_nor_pages(words: list[str]) -> None:
    modules = loaded(f"from engine.cli import main; main({words!r})")
    assert not {"pydantic", "pandas", "numpy", "mlflow", "streamlit", "torch", "pyspark", "pyarrow"} & modules
    assert not {name for name in modules if name.startswith("workers")}
    assert {name for name in modules if name.startswith("engine.") and not name.startswith("engine.cli")} == set()


def test_the_engine_loads_no_room_before_it_is_asked() -> None:
    assert {name for name in loaded("import engine") if name.split(".")[0] in ("engine", "workers")} == {"engine"}
    assert "engine.runs.store" not in loaded("import engine; engine.runs")
