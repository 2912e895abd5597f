"""Stop runs: one's own, and with force those of somebody else, or of a machine that cannot be reached."""

import os
import time

from engine.runs import claims, identity, owners, read, store
from engine.runs.owners import OwnerError
from engine.runs.processes import is_alive, sweep
from engine.runs.read import Run
from engine.runs.settle import settle
from engine.settings import settings
from workers.artifacts import CANCEL, KEEP

KEEP_S = 300.0  # in which ranks must have written a checkpoint, after somebody stopped a run to keep it


def why_not_stopped(run: Run) -> str | None:
    """Why stopping a live run needs force: whose it is, or that it cannot be reached from here; None where it needs none."""
    if why := owners.why_not_yours(run.owner):
        return f"{run.title} is not yours to stop: {why}."
    if not (settings().runs / run.run_id).is_dir() and not is_judged_here(run):
        return f"{run.title} cannot be reached from here: it was started {run.owner.place}."
    return None


def cancel_request(run_id: str, keep: bool = False, force: bool = False) -> None:
    """Request that a run stops, and return at once; a run that has ended stays as it is.

    Args:
        keep: a training writes a checkpoint before it stops, so that it can be resumed; else its checkpoints are removed.
        force: although it is somebody else's. Where its folder is not here, its end is recorded in the store, and that is all.

    Raises:
        LookupError: no such run. OwnerError: see `why_not_stopped`; says what to do.
    """
    run = read.get_run(run_id)
    if not run.live:
        return
    if (why := why_not_stopped(run)) and not force:
        raise OwnerError(f"{why} Stop it there, or ask them; `recbench cancel {run_id} --force` does it all the same.")
    folder = settings().runs / run_id
    if is_alive(run_id) or (folder.is_dir() and not is_judged_here(run)):  # on another machine: its driver reads the file
        path = folder / CANCEL
        partial = path.with_name(f".{CANCEL}.{os.getpid()}.partial")
        partial.write_text(KEEP if keep else "", encoding="utf-8")
        os.replace(partial, path)
    elif force and not is_judged_here(run):
        _record(run)


def cancel(run_id: str, timeout_s: float = 30.0, keep: bool = False, force: bool = False) -> None:
    """Stop a run and verify that no process of it is left. With `keep`, as `cancel_request`, a checkpoint may take KEEP_S longer.

    A run on another machine is asked to stop, and its record says when it has.

    Args:
        force: as for `cancel_request`; a run on another machine that does not stop in time is recorded as cancelled.

    Raises:
        LookupError: no such run. OwnerError: see `why_not_stopped`. TimeoutError: some processes do not end; names them, or their machine.
    """
    cancel_request(run_id, keep, force)
    run, deadline = read.get_run(run_id), time.monotonic() + timeout_s + (KEEP_S if keep else 0.0)
    there = run.live and not is_judged_here(run)
    while (read.get_run(run_id).live if there else is_alive(run_id)) and time.monotonic() < deadline:
        time.sleep(0.2)
    if left := sweep(run_id):
        raise TimeoutError(f"Processes {', '.join(map(str, left))} of run {run_id} do not end; end them yourself.")
    settle(run_id)  # a driver that had to be killed recorded no end
    if there and (run := read.get_run(run_id)).live:
        if not force:
            raise TimeoutError(
                f"{run.title} was asked to stop, and has not: it was started {run.owner.place}. End it there; where that machine is gone, "
                f"`recbench cancel {run_id} --force` records its end."
            )
        _record(run)


def is_judged_here(run: Run) -> bool:
    """Whether this process can say if a run's driver lives."""
    return claims.is_judged_here(run.run_id, dict(store.get(run.run_id).data.tags))


def _record(run: Run) -> None:
    """Record the end of a run that cannot be reached. Should it live on, what its driver records later counts."""
    who = f"{identity.user()} on {identity.machine().host}"
    store.set_status(run.run_id, "KILLED", f"Recorded as cancelled by {who}, who could not reach it: its processes may go on there.")
