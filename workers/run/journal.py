"""The reports of rank 0 while it works: one JSON line per record in the run folder, and a progress file that is replaced."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.artifacts import JOURNAL, PROGRESS, write_json
from workers.specs import mask


class Journal:
    """Append-only metrics and the latest progress of one run. A journal without a folder (other ranks) writes nothing."""

    def __init__(self, run_dir: Path | None) -> None:
        self._dir = run_dir
        self._file = (run_dir / JOURNAL).open("a", encoding="utf-8", buffering=1) if run_dir else None
        self._reported = 0.0

    def metrics(self, values: Mapping[str, float], *, step: int, epoch: int, rows: int) -> None:
        """Record values at a step; a value that is not finite becomes null."""
        clean = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._write({"step": step, "epoch": epoch, "rows": rows, "values": clean})

    def event(self, name: str) -> None:
        """Record that a phase begins: the time that each phase of a run took is read from these."""
        self._write({"event": name})

    def progress(self, phase: str, done: int, total: int, *, force: bool = False, **more: float | None) -> None:
        """Replace the progress, four times a second at most."""
        now = time.monotonic()
        if self._dir and (force or now - self._reported > 0.25 or done >= total):
            self._reported = now
            write_json(self._dir / PROGRESS, {"phase": phase, "step": done, "total": total, "time": time.time(), **more})

    def _write(self, record: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps({"time": time.time(), **record}, allow_nan=False) + "\n")


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


def say_why(run_dir: Path, who: str, error: BaseException, trace: str) -> None:
    """Write `<who>.error.json`: how a run ended is read from files, since exit codes do not reach the driver.

    Passwords and keys in it are masked.
    """
    path = run_dir / f"{who}.error.json"
    if not path.exists():
        said = {"type": type(error).__name__, "message": mask(str(error)), "traceback": mask(trace)}
        write_json(path, {**said, "time": time.time(), "pid": os.getpid()})
