"""Contenders that live side by side and work one at a time, when told: so that what is compared ran in the same minute.

A contender is a process, or several ranks, that has loaded everything and waits. A turn is a JSON file that the bench puts into the
contender's folder; the answer is a file too. Needs nothing but the standard library: peers run it in an environment of their own.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

READY, TURN, ANSWER = "ready", "turn.json", "answer.json"
END = {"what": "end"}


class Rate(NamedTuple):
    """Rows a second of the clock, and rows a second that all processes of a contender computed: the latter bears a busy machine."""

    wall: float
    cpu: float


class Contender:
    """The bench's side of one contender: `folder` is its mailbox, `is_alive` says whether it can still answer."""

    def __init__(self, folder: Path, is_alive: Callable[[], bool]) -> None:
        self.folder, self.is_alive = folder, is_alive

    def wait_ready(self, timeout_s: float = 300) -> None:
        self._wait(READY, timeout_s)

    def turn(self, what: str, batch_size: int, steps: int, timeout_s: float = 900) -> "Rate":
        """Some steps."""
        _write(self.folder / TURN, {"what": what, "batch_size": batch_size, "steps": steps})
        self._wait(ANSWER, timeout_s)
        answer = json.loads((self.folder / ANSWER).read_text())
        (self.folder / ANSWER).unlink()
        return Rate(answer["rows"] / answer["seconds"], answer["rows"] / answer["cpu_s"])

    def end(self) -> None:
        _write(self.folder / TURN, END)

    def _wait(self, name: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not (self.folder / name).exists():
            if not self.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"{self.folder.name} left or hangs; see {self.folder}")
            time.sleep(0.01)


def announce(folder: Path) -> None:
    """The contender's side: everything is loaded."""
    (folder / READY).touch()


def next_turn(folder: Path) -> dict[str, Any]:
    """The contender's side: wait to be told. It ends with the bench, whose folder goes with it."""
    while not (folder / TURN).exists():
        if not folder.exists():
            return END
        time.sleep(0.01)
    told = json.loads((folder / TURN).read_text())
    (folder / TURN).unlink()
    return told


def answer(folder: Path, rows: int, seconds: float, cpu_s: float) -> None:
    """The contender's side: rows worked through, how long it took, and what its processes computed meanwhile."""
    _write(folder / ANSWER, {"rows": rows, "seconds": seconds, "cpu_s": cpu_s})


def _write(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    os.replace(partial, path)
