"""A run whose driver died: end what is left of its processes and record in the store how it ended."""

from engine.runs import processes, store
from engine.runs.read import RunState, died, how_it_ended
from engine.settings import settings

STATUS: dict[RunState, store.Status] = {RunState.FINISHED: "FINISHED", RunState.CANCELLED: "KILLED"}  # of all others: FAILED
UNENDED = " AND ".join(f"attributes.status != '{status}'" for status in ("FINISHED", "FAILED", "KILLED"))  # MLflow has no IN for a status


def settle(run_id: str) -> None:
    """Sweep and record one run if its driver died before the store knew how it ended; leave any other as it is."""
    stored = store.get(run_id)
    if not died(stored) or not died(store.get(run_id)):  # the second look: it may have ended between status and lock
        return
    processes.sweep(run_id)
    state, message = how_it_ended(settings().runs / run_id)
    if state == RunState.INTERRUPTED:
        store.set_tag(run_id, "interrupted", "true")
    store.set_status(run_id, STATUS.get(state, "FAILED"), message)


def settle_all() -> None:
    """Settle every run of this workspace that the store still takes for a live one."""
    for stored in store.search(store.EXPERIMENTS, 500, UNENDED):
        settle(stored.info.run_id)
