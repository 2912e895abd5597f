"""The queue of runs: oldest first, as many at the same time as the limit allows. Slots are file locks: a slot ends with its process."""

import fcntl
import json
import os
import time
from pathlib import Path

from engine import runs
from engine.runs import processes
from engine.settings import settings
from workers.artifacts import SPEC
from workers.run import Journal

_held: list[int] = []  # the slot of this process


def wait(run_id: str, run_dir: Path) -> None:
    """Return when this run may compute; the slot is held until the process ends.

    Raises:
        RuntimeError: the run that this one waits for did not finish.
    """
    journal = Journal(run_dir)
    while True:
        ahead = 0
        if _is_ready(run_dir):
            ahead = _ahead(run_id)
            if ahead == 0 and _take_slot():
                (run_dir / runs.TICKET).unlink(missing_ok=True)
                return
        journal.progress(f"waiting, {ahead} ahead" if ahead else "waiting", 0, 1, force=True)
        time.sleep(0.3)


def _is_ready(run_dir: Path) -> bool:
    try:
        first = json.loads((run_dir / runs.AFTER).read_text())["run"]
    except FileNotFoundError:
        return True
    if processes.is_alive(first):
        return False
    state, _ = runs.how_it_ended(settings().runs / first)  # from its files: the store may not know yet
    if state != runs.RunState.FINISHED:
        what = _name(settings().runs / first) or first
        raise RuntimeError(f"The preparation of {what} did not finish, so there is nothing to train on; prepare it again.")
    return True


def _name(run_dir: Path) -> str | None:
    """The name in a run's spec."""
    try:
        return str(json.loads((run_dir / SPEC).read_text())["name"])
    except (OSError, ValueError, LookupError):
        return None


def _ahead(run_id: str) -> int:
    """How many older runs wait for a slot: they have a ticket, and their driver is alive."""
    tickets = []
    for path in settings().runs.glob(f"*/{runs.TICKET}"):
        try:
            tickets.append((json.loads(path.read_text())["submitted"], path.parent.name))
        except (OSError, ValueError):
            continue  # removed in the meantime
    own = next((ticket for ticket in tickets if ticket[1] == run_id), None)
    return sum(1 for ticket in tickets if own and ticket < own and processes.is_alive(ticket[1]) and _can_run(ticket[1]))


def _can_run(run_id: str) -> bool:
    """Whether a run waits for a slot only: a run that waits for another run blocks nobody."""
    try:
        first = json.loads((settings().runs / run_id / runs.AFTER).read_text())["run"]
    except FileNotFoundError:
        return True
    return not processes.is_alive(first)


def leave() -> None:
    """Give the slot to the next run."""
    while _held:
        os.close(_held.pop())


def _take_slot() -> bool:
    folder = settings().workspace / "slots"
    folder.mkdir(exist_ok=True)
    for number in range(settings().concurrent_runs):
        slot = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, settings().file_mode)
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _held.append(slot)  # the descriptor stays open, so the slot is held until this process ends
            return True
        except BlockingIOError:
            os.close(slot)
    return False
