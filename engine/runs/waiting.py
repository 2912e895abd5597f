"""Waiting for a run."""

import time

from engine.runs.read import Run, RunState, get_run


def wait(run_id: str, every_s: float = 1.0) -> Run:
    """The run when it has finished. It goes on when the waiting is interrupted.

    Args:
        every_s: seconds between two looks at it.

    Raises:
        LookupError: no such run. RuntimeError: it ended without finishing; says how and why.
    """
    while (run := get_run(run_id)).live:
        time.sleep(every_s)
    if run.state != RunState.FINISHED:
        why = f": {run.message}" if run.message else "; its log says more"
        raise RuntimeError(f"{run.title} ({run_id[:8]}) is {run.state.value}{why}")
    return run
