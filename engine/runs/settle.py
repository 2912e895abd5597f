"""Settle runs whose driver died: end the processes that are left, and record in the store how the run ended."""

from engine.runs import processes, store
from engine.runs.read import RunState, died, how_it_ended
from engine.settings import settings

STATUS: dict[RunState, store.Status] = {RunState.FINISHED: "FINISHED", RunState.CANCELLED: "KILLED"}  # all others: FAILED
UNENDED = " AND ".join(f"attributes.status != '{status}'" for status in store.ENDED)  # MLflow has no IN for a status


def settle(run_id: str) -> None:
    """End the processes of a run whose driver died before it recorded an end, and record one; leave any other run as it is."""
    stored = store.get(run_id)
    if not died(stored) or not died(store.get(run_id)):  # read again: it may have ended between reading status and lock
        return
    processes.sweep(run_id)
    state, message = how_it_ended(settings().runs / run_id)
    if state == RunState.INTERRUPTED:
        store.set_tag(run_id, "interrupted", "true")
    store.set_status(run_id, STATUS.get(state, "FAILED"), message)


def settle_all() -> None:
    """Settle every run of this workspace that has a live status in the store."""
    for stored in store.search(store.EXPERIMENTS, 500, UNENDED):
        settle(stored.info.run_id)
