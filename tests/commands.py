"""The command line as its user meets it: what a command prints and how it ends, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from tests import ranks

TIMEOUT_S = 1200


def recbench(*words: str, fails: bool = False) -> dict[str, Any]:
    """What a command answers as JSON, from an interpreter of its own; AssertionError where it ends otherwise than it should."""
    command = [sys.executable, "-c", "from engine.cli import main; main()", *words, "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    return _answer(ended.returncode, ended.stdout, ended.stderr, fails)


def asked(*words: str, fails: bool = False) -> dict[str, Any]:
    """As `recbench`, in a process that is forked with everything imported: for commands that only read, or refuse at once."""
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder) / "out", Path(folder) / "errors"
        (code,) = ranks.finish([ranks.start(_command, words, str(out), str(errors))], TIMEOUT_S)
        return _answer(code, out.read_text(), errors.read_text(), fails)


def _command(words: tuple[str, ...], out: str, errors: str) -> None:
    from engine.cli import main

    with open(out, "w") as printed, open(errors, "w") as told, redirect_stdout(printed), redirect_stderr(told):
        main([*words, "--json"])


def _answer(code: int | None, out: str, errors: str, fails: bool) -> dict[str, Any]:
    assert (code != 0) == fails, errors + out
    assert "Traceback" not in errors
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


def until(condition: Callable[[], object], timeout: float = 400) -> None:
    """Wait for a condition; AssertionError after a timeout in seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.1)
