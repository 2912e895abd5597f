"""A training that is stopped and kept, interrupted, resumed, and measured as it is: real drivers, from the command line and the engine."""

import json

import psutil
import pytest

import engine
from engine.runs import RunState, processes
from tests.commands import recbench, until
from tests.integration.test_faults_of_ranks import Record, dataset, ended, folder, launch, training
from workers.run import attempts, read_journal

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
__all__ = ["dataset"]  # the fixture, for pytest


def steps(run_id: str) -> list[int]:
    """The steps of a run's curve of the loss."""
    history = engine.runs.history(run_id)
    return list(history[history["metric"] == "train_loss"]["step"])


@pytest.mark.fault("F14", "F34")
def test_a_stopped_run_goes_on_where_it_stopped_with_other_ranks_and_one_curve(dataset: str) -> None:
    run_id = launch(dataset, epochs=60, processes=2)
    training(run_id, 30)
    stopped = recbench("cancel", run_id, "--keep")
    assert stopped["state"] == "cancelled"
    run = engine.runs.get_run(run_id)
    assert (run.message or "").startswith("Stopped at step")
    at = json.loads((folder(run_id) / "stopped.json").read_text())["step"]
    assert steps(run_id)[-1] == at
    assert processes.processes(run_id) == []
    resumed = recbench("resume", run_id, "--processes", "1", "--wait")
    assert resumed["state"] == "finished"
    assert attempts.current(folder(run_id)).number == 2
    curve = steps(run_id)
    assert curve == sorted(set(curve)), "one value a step"
    (record,) = (one for one in read_journal(folder(run_id) / "journal.jsonl")[0] if one.get("event") == "resumed")
    assert record["step"] == at
    points = engine.runs.store.points(run_id, "train_loss")
    assert len({step for step, _, _ in points}) == len(points), "in the store too"
    assert engine.runs.get_run(run_id).resources["processes"] == 1


@pytest.mark.fault("F04", "F11", "F14")
def test_an_interrupted_run_is_measured_as_it_is_and_marked_and_a_discarded_one_is_gone(dataset: str, record_property: Record) -> None:
    run_id = launch(dataset)
    training(run_id, 80)
    driver = next(p for p in processes.processes(run_id) if "engine.driver" in p.cmdline())
    assert "must" not in (engine.runs.get_run(run_id).message or "")
    with pytest.raises(ValueError, match="still at work"):
        engine.runs.resume(run_id)
    driver.kill()
    run = ended_after_kill(run_id, driver, record_property)
    assert run.state == RunState.INTERRUPTED
    engine.runs.resume(run_id, concludes=True)
    run = ended(run_id, timeout=200)
    assert (run.state, run.message) == (RunState.FINISHED, None)
    assert any("was ended in epoch" in alarm for alarm in engine.runs.alarms(run_id))
    assert run.metrics["ndcg_at_10"] > 0
    assert engine.compare.compare([run_id]).contenders, "it compares"
    with pytest.raises(ValueError, match="nothing left to train"):
        engine.runs.resume(run_id)

    discarded = launch(dataset)
    training(discarded, 40)
    engine.runs.cancel(discarded)
    assert engine.runs.get_run(discarded).state == RunState.CANCELLED
    assert not (folder(discarded) / "checkpoint").exists()
    with pytest.raises(ValueError, match="before its first checkpoint"):
        engine.runs.resume(discarded)


def ended_after_kill(run_id: str, driver: psutil.Process, record: Record) -> engine.runs.Run:
    import time

    started = time.monotonic()
    until(lambda: not engine.runs.get_run(run_id).live, 60)
    record("truth_s", time.monotonic() - started)
    until(lambda: not driver.is_running() or driver.status() == psutil.STATUS_ZOMBIE, 10)
    engine.runs.settle(run_id)
    return engine.runs.get_run(run_id)
