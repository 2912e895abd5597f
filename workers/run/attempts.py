"""Attempts of a run: a run that is resumed goes on in the same folder as its next attempt, and processes of an older one may not write.

The driver begins an attempt before it starts a process; every writer asks `refuse_older` before it writes.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from workers.artifacts import write_json

ATTEMPT = "attempt.json"


class Attempt(NamedTuple):
    """The attempt that owns a run folder."""

    number: int = 1
    processes: int | None = None  # ranks of this attempt; None: as the spec says
    concludes: bool = False  # whether it trains no more, and measures the best epoch so far


class SupersededError(RuntimeError):
    """A writer belongs to an attempt that a later one has replaced."""


def current(folder: Path) -> Attempt:
    """The attempt that owns a run folder; number 0 before the first one."""
    try:
        return Attempt(**json.loads((folder / ATTEMPT).read_text()))
    except FileNotFoundError:
        return Attempt(0)


def begin(folder: Path, processes: int | None = None, concludes: bool = False) -> Attempt:
    """Begin the next attempt: from now on, no process of an older one may write."""
    attempt = Attempt(current(folder).number + 1, processes, concludes)
    write_json(folder / ATTEMPT, attempt._asdict())
    return attempt


def refuse_older(folder: Path, number: int) -> None:
    """Raise SupersededError where another attempt than `number` owns the folder; a folder without attempts has one writer."""
    owner = current(folder).number
    if owner not in (0, number):
        raise SupersededError(f"Attempt {number} of this run may not write any more: attempt {owner} has replaced it.")


def set_errors_aside(folder: Path, number: int) -> None:
    """Move what the processes of an attempt left about its failure to `attempt-<number>/`, so that the next one begins without."""
    for path in folder.glob("*.error.json"):
        (folder / f"attempt-{number}").mkdir(exist_ok=True)
        os.replace(path, folder / f"attempt-{number}" / path.name)
