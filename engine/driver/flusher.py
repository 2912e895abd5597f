"""Copies the journal of a run to the store while the run works."""

import logging
import threading
from pathlib import Path

from engine.runs import store
from workers.artifacts import JOURNAL
from workers.run import read_journal

log = logging.getLogger("engine.driver")


class Flusher:
    """Copies journal records to the store from a thread, so that training never waits for the store."""

    def __init__(self, run_id: str, run_dir: Path) -> None:
        self._run_id, self._path, self._offset = run_id, run_dir / JOURNAL, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Copy the remaining records, and stop."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=60)
        self._flush()

    def _work(self) -> None:
        while not self._stop.wait(1.0):
            self._flush()

    def _flush(self) -> None:
        try:
            records, offset = read_journal(self._path, self._offset)
            store.log_records(self._run_id, records)
            self._offset = offset
        except Exception:
            log.exception("metrics stay in the journal; retrying")
