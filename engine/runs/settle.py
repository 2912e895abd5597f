"""Settle runs whose driver died: end the processes that are left, deliver what it left for the store, and record how the run ended."""

import logging
from pathlib import Path

from engine.runs import claims, outbox, processes, store
from engine.runs.known import UNENDED
from engine.runs.read import VERDICT, RunState, died, how_it_ended
from engine.runs.store_errors import StoreError
from engine.settings import settings
from workers.artifacts import CANCEL, JOURNAL, LOG, PROGRESS

log = logging.getLogger(__name__)

STATUS: dict[RunState, store.Status] = {RunState.FINISHED: "FINISHED", RunState.CANCELLED: "KILLED"}  # all others: FAILED


def settle(run_id: str) -> None:
    """End the processes of a run whose driver died before it recorded an end, and record one; leave any other run as it is.

    A run whose driver still delivers to the store, after its end, is left to it.
    """
    stored = store.get(run_id)
    if not died(stored) or not died(store.get(run_id)):  # read again: it may have ended between reading status and lock
        return
    with outbox.sole(settings().runs / run_id) as alone:
        if not alone:
            return
        processes.sweep(run_id)
        outbox.deliver_alone(run_id)
        if not died(store.get(run_id)):
            return
        state, message = how_it_ended(settings().runs / run_id)
        if state == RunState.INTERRUPTED:
            store.set_tag(run_id, "interrupted", "true")
        store.set_status(run_id, STATUS.get(state, "FAILED"), message, _last_sign_ms(settings().runs / run_id))
        claims.forget(stored.data.tags)


def _last_sign_ms(folder: Path) -> int | None:
    """When a run showed its last sign of life, by the times of its files; None without one."""
    files = [folder / name for name in (VERDICT, PROGRESS, JOURNAL, LOG, CANCEL)]
    times = [int(1000 * file.stat().st_mtime) for file in files if file.is_file()]
    return times[0] if files[0].is_file() else max(times, default=None)


def settle_all() -> None:
    """Settle every run of this workspace that has a live status in the store."""
    for stored in store.search(store.EXPERIMENTS, 500, UNENDED):
        try:
            settle(stored.info.run_id)
        except StoreError as error:  # such as its artifacts: no reason to leave the others
            log.warning("run %s is not settled: %s", stored.info.run_id, error)
