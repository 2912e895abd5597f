"""The reports of rank 0 while it works: one JSON line per record in the run folder, and a progress file that is replaced."""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workers.artifacts import JOURNAL, PROGRESS, write_json
from workers.run import attempts
from workers.run.room import with_reserve
from workers.specs import mask

log = logging.getLogger(__name__)
RESUMED = "resumed"  # the event that an attempt after the first begins with; its record has the step that it goes on from


class Journal:
    """Append-only metrics and the latest progress of one run. A journal without a folder (other ranks) writes nothing.

    Records that a full disk refuses are kept and written later, so that reports never end a run.

    Args:
        attempt: of the run; None: a writer that belongs to no attempt. SupersededError is raised once a later one has begun.
        part: the folder of a part of the run, such as a trial, which gets the metrics; the progress stays the run's.
        left_s: seconds that the run has left, given those that its part has; None: the part is the run.
        more: numbers that all progress has beside its own.
    """

    def __init__(
        self,
        run_dir: Path | None,
        attempt: int | None = None,
        *,
        part: Path | None = None,
        left_s: Callable[[float], float] | None = None,
        **more: float | None,
    ) -> None:
        self._dir, self._attempt, self._left_s, self._more = run_dir, attempt, left_s, more
        path = (part or run_dir or Path()) / JOURNAL
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666) if run_dir else None
        self._unwritten, self._reported, self._phase, self._complained = b"", 0.0, "", False

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._file)  # type: ignore[arg-type]

    def metrics(self, values: Mapping[str, float], *, step: int, epoch: int, rows: int) -> None:
        """Record values at a step; a value that is not finite becomes null."""
        clean = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._write({"step": step, "epoch": epoch, "rows": rows, "values": clean})

    def event(self, name: str, **more: int) -> None:
        """Record that a phase begins: the time that each phase of a run took is read from these."""
        self._write({"event": name, **more})

    def progress(self, phase: str, done: int, total: int, *, force: bool = False, **more: float | None) -> None:
        """Replace the progress, four times a second at most and at each new phase: the watch gives each its own time."""
        now = time.monotonic()
        if self._dir and (force or phase != self._phase or now - self._reported > 0.25 or done >= total):
            self._reported, self._phase = now, phase
            self._refuse_older()
            if self._left_s and (left := more.get("eta_s")) is not None:
                more["eta_s"] = self._left_s(left)
            try:
                write_json(self._dir / PROGRESS, {"phase": phase, "step": done, "total": total, "time": time.time(), **more, **self._more})
            except OSError as error:
                self._complain(error)

    def _refuse_older(self) -> None:
        if self._dir and self._attempt is not None:
            attempts.refuse_older(self._dir, self._attempt)

    def _write(self, record: dict[str, Any]) -> None:
        if self._file is None:
            return
        self._refuse_older()
        later = {"attempt": self._attempt} if (self._attempt or 1) > 1 else {}
        self._unwritten += (json.dumps({"time": time.time(), **record, **later}, allow_nan=False) + "\n").encode()
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            log.warning("a report cannot be written (%s); the work goes on, and what is missing follows when it can", error)


def read_journal(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Whole records from a byte offset on, and the offset after them; a half-written last line waits for the next call."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read()
    except FileNotFoundError:
        return [], offset
    end = text.rfind(b"\n") + 1
    records = []
    for line in text[:end].splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue  # a line torn by a crash in mid-write
    return records, offset + end


def read_curve(path: Path) -> list[dict[str, Any]]:
    """The records with values of all attempts as one curve: of each attempt those up to the step that the next one went on from.

    Times are as if each attempt had begun when the last record before it was written, so that pauses between attempts do not count.
    """
    curve, pause = dict[tuple[int, str], dict[str, Any]](), 0.0
    for record in read_journal(path)[0]:
        if record.get("event") == RESUMED:
            curve = {key: one for key, one in curve.items() if one["step"] <= record["step"]}
            pause = record["time"] - max((one["time"] for one in curve.values()), default=record["time"])
        elif "values" in record:
            key = record["step"], ",".join(sorted(record["values"]))
            curve.pop(key, None)  # judged again, since the attempt ended before its checkpoint
            curve[key] = record | {"time": record["time"] - pause}
    return list(curve.values())


def say_why(run_dir: Path, who: str, error: BaseException, trace: str) -> None:
    """Write `<who>.error.json`: how a run ended is read from files, since exit codes do not reach the driver.

    Passwords and keys in it are masked.
    """
    path = run_dir / f"{who}.error.json"
    if not path.exists():
        said: dict[str, Any] = {"type": type(error).__name__, "message": mask(str(error)), "traceback": mask(trace)}
        said |= {"time": time.time(), "pid": os.getpid()}
        try:
            with_reserve(run_dir, lambda: write_json(path, said))
        except OSError as full:  # what is to be said must not be hidden by that
            log.error("%s could not be written: %s", path.name, full)
