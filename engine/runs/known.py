"""Stored runs as this process last read them, for all sessions of the workbench: a reading asks only for what changed since.

MLflow builds some 90 objects for each run that it returns: 1.5 s of CPU for 500 runs, which every drawing of every session would take.
An ended run changes by a person's hand only, so these are read whole from time to time; live runs, and runs that ended or were written
by this process, are read each time.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from engine.runs.opened import Store

if TYPE_CHECKING:
    from mlflow.entities import Run as StoredRun

MOST = 5_000  # the newest runs; who asks for more asks the store
SHARE = 0.05  # of the time that reading everything may take: the more runs, the later a note of another program is seen
FRESH_S = 1.0  # drawings of pages within a second of each other share one reading
SKEW_MS = 600_000  # by which the clock of a machine that ends runs may differ from ours
NEWEST = ["attributes.start_time DESC"]
ENDED = ("FINISHED", "FAILED", "KILLED")
UNENDED = " AND ".join(f"attributes.status != '{status}'" for status in ENDED)  # MLflow has no IN for a status
PARENT = "mlflow.parentRunId"  # by which a stock `mlflow ui` shows the trials of a search below it
_drawing: ContextVar[bool] = ContextVar("drawing", default=False)


@contextmanager
def read_once() -> Iterator[None]:
    """One drawing of a page, in this thread: what was read less than FRESH_S ago is recent enough for it.

    What this process writes is seen at once; what others write, a second later.
    """
    before = _drawing.set(True)
    try:
        yield
    finally:
        _drawing.reset(before)


def without_trials(condition: str) -> str:
    """A condition for stored runs, without the trials of searches."""
    return " AND ".join(filter(None, [condition, f"tags.`{PARENT}` IS NULL"]))


class _Known:
    """What was read of one store."""

    def __init__(self, store: Store) -> None:
        self.store, self.runs, self.lock = store, dict[str, "StoredRun"](), threading.RLock()
        self.written: set[str] = set()
        self.read_at = self.whole_at = float("-inf")
        self.took_s = 0.0
        self.until_ms = 0

    def read(self) -> None:
        """Ask the store for what changed, where that is due."""
        now = time.monotonic()
        if now - self.whole_at > self.took_s / SHARE:
            self._read_whole()
        elif self.written or not (_drawing.get() and now - self.read_at < FRESH_S):
            self._read_changes()

    def newest(self) -> list["StoredRun"]:
        """All runs, newest first."""
        with self.lock:
            self.read()
            return sorted(self.runs.values(), key=lambda run: (-run.info.start_time, run.info.run_id))

    def get(self, run_id: str) -> "StoredRun | None":
        """A run that had ended at the last reading; None: ask the store."""
        with self.lock:
            self.read()
            run = self.runs.get(run_id)
            return run if run and run.info.status in ENDED else None

    def _read_whole(self) -> None:
        began = time.monotonic()
        self.written, self.until_ms = set(), _now_ms()
        self.runs = {run.info.run_id: run for run in self._search("", MOST)}
        self.read_at = self.whole_at = time.monotonic()
        self.took_s = self.read_at - began

    def _read_changes(self) -> None:
        """Runs that have not ended, those that did since the last reading, and those that this process wrote."""
        since, self.until_ms = self.until_ms - SKEW_MS, _now_ms()
        written, self.written = self.written, set()
        changed = {run.info.run_id: run for run in self._search(UNENDED, MOST)}
        changed |= {run.info.run_id: run for run in self._search(f"attributes.end_time > {since}", MOST)}
        lost = {run_id for run_id, run in self.runs.items() if run.info.status not in ENDED} | written
        for run_id in lost - changed.keys():  # it ended, with an end by another clock, or was deleted
            self.runs.pop(run_id, None)
            if (run := self._get(run_id)) is not None:
                changed[run_id] = run
        self.runs |= changed
        self.read_at = time.monotonic()

    def _search(self, condition: str, limit: int) -> list["StoredRun"]:
        ids = list(self.store.experiments.values())
        return list(self.store.client.search_runs(ids, filter_string=without_trials(condition), max_results=limit, order_by=NEWEST))

    def _get(self, run_id: str) -> "StoredRun | None":
        from mlflow.exceptions import MlflowException

        try:
            run = self.store.client.get_run(run_id)
        except MlflowException:
            return None
        ours = run.info.experiment_id in self.store.experiments.values()
        return run if ours and run.info.lifecycle_stage == "active" else None


_known: _Known | None = None
_choosing = threading.Lock()


def _of(store: Store) -> _Known:
    global _known
    with _choosing:
        if _known is None or _known.store is not store:
            _known = _Known(store)
        return _known


def newest(store: Store) -> list["StoredRun"]:
    """The MOST newest runs that are not deleted, newest first. StoreError: the store cannot be asked."""
    return _of(store).newest()


def recall(store: Store, run_id: str) -> "StoredRun | None":
    """An ended run, while a page is drawn; None: ask the store."""
    return _of(store).get(run_id) if _drawing.get() else None


def forget(run_id: str) -> None:
    """Read a run anew: this process writes it."""
    if (known := _known) is not None:
        with known.lock:
            known.written.add(run_id)


def _now_ms() -> int:
    return int(time.time() * 1000)
