"""Ended runs are read once for all callers, and nothing that another process writes is missed."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

import engine
from engine.runs import RunState, known, store
from engine.runs.known import FRESH_S
from tests.commands import until
from workers.run import RunSpec

SPEC = RunSpec.model_validate({"dataset": "some-0123456789ab", "model": {"kind": "two_tower"}})
ELSEWHERE = {"workspace_id": "another"}  # a run whose driver cannot be seen from here: it lives as long as the store says so


@pytest.fixture
def others(workspace: Path) -> MlflowClient:
    """The client of another process: what it writes is not known here."""
    return MlflowClient(tracking_uri=engine.settings.settings().store)


def made(title: str, ended: bool = True) -> str:
    run_id = store.create("train", title, SPEC, {"dataset": SPEC.dataset, "model": "two_tower", **ELSEWHERE})
    if ended:
        store.set_status(run_id, "FINISHED")
    return run_id


def titles() -> list[str]:
    return sorted(run.title for run in engine.runs.list_runs())


def test_an_ended_run_is_read_once_for_all_callers(others: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "SHARE", 1e-6)  # nothing is read whole again
    store.set_status(made("a", ended=False), "FINISHED", ended_ms=1_700_000_000_000)
    (first,) = engine.runs.list_runs()
    made("b")
    assert next(run for run in engine.runs.list_runs("train") if run.title == "a") is first


def test_a_run_that_another_process_creates_is_in_the_next_list(others: MlflowClient) -> None:
    made("a")
    assert titles() == ["a"]
    tags = {"recbench.kind": "train", "recbench.spec": SPEC.model_dump_json(), "recbench.workspace_id": "another"}
    live = others.create_run(others.get_experiment_by_name("trainings").experiment_id, run_name="b", tags=tags)
    assert titles() == ["a", "b"]
    others.set_terminated(live.info.run_id)
    ended = others.create_run(others.get_experiment_by_name("trainings").experiment_id, run_name="c", tags=tags)
    others.set_terminated(ended.info.run_id)
    assert titles() == ["a", "b", "c"]


def test_a_run_that_ended_with_an_old_time_is_seen_to_have_ended(others: MlflowClient) -> None:
    """As one whose end is recorded a day later, with the time of its last sign of life."""
    run_id = made("a", ended=False)
    assert engine.runs.list_runs()[0].live
    others.set_terminated(run_id, "KILLED", end_time=1_700_000_000_000)
    assert engine.runs.list_runs()[0].state == RunState.CANCELLED


def test_a_run_that_goes_on_again_is_live_again(others: MlflowClient) -> None:
    run_id = made("a")
    assert engine.runs.list_runs()[0].state == RunState.FINISHED
    others.update_run(run_id, status="RUNNING")
    assert engine.runs.list_runs()[0].live


def test_what_this_process_writes_is_in_the_next_list(others: MlflowClient) -> None:
    run_id, _ = made("a"), made("b")
    with engine.runs.read_once():
        assert titles() == ["a", "b"]
        engine.runs.rename(run_id, "renamed")
        assert titles() == ["b", "renamed"]
        engine.runs.trash([run_id], force=True)
        assert titles() == ["b"] and [run.title for run in engine.runs.list_trash()] == ["renamed"]
        engine.runs.restore([run_id])
        store.delete(run_id)
        assert titles() == ["b"]


def test_what_another_process_notes_or_deletes_is_seen_soon(others: MlflowClient) -> None:
    kept, gone = made("a"), made("b")
    assert titles() == ["a", "b"]
    others.update_run(kept, name="renamed")
    others.delete_run(gone)
    until(lambda: titles() == ["renamed"], 60)


def test_a_drawing_reads_anew_after_a_second(others: MlflowClient) -> None:
    run_id = made("a", ended=False)
    with engine.runs.read_once():
        assert engine.runs.list_runs()[0].live
        others.set_terminated(run_id)
        until(lambda: not engine.runs.list_runs()[0].live, 10 * FRESH_S)


def test_another_store_at_the_same_place_has_its_own_runs(others: MlflowClient) -> None:
    made("a")
    assert titles() == ["a"]
    database = engine.settings.settings().workspace / "mlflow.db"
    for file in database.parent.glob("mlflow.db*"):
        file.unlink()
    assert titles() == []
    made("b")
    assert titles() == ["b"]
