"""Attempts of a run's processes: when one was killed, another follows from the newest checkpoint, as often as the spec allows."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.driver.causes import Cancelled, Cause, RunFailedError, killed_sentence, of_attempt
from engine.driver.watch import Watch
from workers.artifacts import DONE, OUTPUT, STOPPED
from workers.run import Journal, attempts
from workers.run.attempts import Attempt

log = logging.getLogger("engine.driver")


def attempt_until_done(
    run_dir: Path, journal: Journal, watch: Watch, retries: int, work: Callable[[Attempt], int], batch_size: int | None = None
) -> dict[str, Any]:
    """Let the processes of a run work until one attempt is done; returns what done.json says.

    Args:
        retries: how many attempts may follow one whose process was killed or whose host was lost.
        work: does one attempt; returns the exit code of its process, or minus the signal that killed it; 0 where files alone tell.
        batch_size: rows that each rank reads in a step; None without ranks.

    Raises:
        RunFailedError: why the last attempt failed. Cancelled: its ranks stopped after a checkpoint, since they were asked to.
    """
    while True:
        attempt, printed = attempts.current(run_dir), _printed(run_dir)
        watch.reason = None
        code = work(attempt)
        if (done := done_of(run_dir, attempt.number)) is not None:
            return done
        if (stopped := _stopped(run_dir, attempt.number)) is not None:
            raise Cancelled(stopped)
        cause = _cause(run_dir, code, _output(run_dir, printed), watch, batch_size)
        if not cause.lost or retries == 0:
            raise RunFailedError(cause.sentence)
        retries -= 1
        attempts.set_errors_aside(run_dir, attempt.number)
        attempts.begin(run_dir, attempt.processes, attempt.concludes)
        log.warning("attempt %d failed, and another one follows: %s", attempt.number, cause.sentence)
        journal.event("another attempt")


def done_of(run_dir: Path, attempt: int) -> dict[str, Any] | None:
    """done.json of an attempt; None where the attempt wrote none."""
    done = _read(run_dir / DONE)
    return done if done.get("attempt") == attempt else None


def _cause(run_dir: Path, code: int, output: str, watch: Watch, batch_size: int | None) -> Cause:
    if code < 0 and not watch.reason:
        return Cause(killed_sentence(run_dir, "The process", None, -code, watch), lost=True)
    return of_attempt(run_dir, output, watch, batch_size)


def _stopped(run_dir: Path, attempt: int) -> str | None:
    """The message of a run whose ranks stopped after a checkpoint; None where they did not in this attempt."""
    stopped = _read(run_dir / STOPPED)
    return f"Stopped at step {stopped['step']:,}, and kept: resume it to go on." if stopped.get("attempt") == attempt else None


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no whole one."""
    try:
        read: dict[str, Any] = json.loads(path.read_text())
        return read
    except (OSError, ValueError):
        return {}


def _printed(run_dir: Path) -> int:
    """Bytes that the run's processes have printed so far."""
    sys.stdout.flush()
    return (run_dir / OUTPUT).stat().st_size if (run_dir / OUTPUT).exists() else 0


def _output(run_dir: Path, start: int) -> str:
    """What the run's processes printed from a byte on."""
    if _printed(run_dir) == 0:
        return ""
    with (run_dir / OUTPUT).open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", errors="backslashreplace")
