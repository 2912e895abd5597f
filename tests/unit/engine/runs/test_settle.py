"""Runs whose driver died are settled in the real store; runs that ended stay as they are."""

from engine.datasets import DatasetSpec
from engine.runs import RunState, get_run, settle_all, store
from engine.settings import settings
from engine.sources import SOURCES
from workers.artifacts import CANCEL


def test_only_a_run_whose_driver_died_is_settled(workspace):
    spec = DatasetSpec(name="sample", source=SOURCES["sample"].model_validate({}))
    ended, dead = (store.create("prepare", title, spec, {}) for title in ("ended", "dead"))
    store.set_status(ended, "FINISHED")
    store.set_status(dead, "RUNNING")
    (settings().runs / dead).mkdir(parents=True)
    (settings().runs / dead / CANCEL).touch()  # asked to stop, and nobody holds its lock
    settle_all()
    assert get_run(ended).state == RunState.FINISHED
    assert store.get(dead).info.status == "KILLED" and get_run(dead).message == "Cancelled."
