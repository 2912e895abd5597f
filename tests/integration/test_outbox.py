"""A store that is locked, gone or down while a real driver works: nothing waits for it, and nothing is lost."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.runs import RunState, outbox, processes, store
from tests import prepared
from tests.commands import until
from workers.artifacts import CHECKPOINT, DONE, LOG, RESULTS, SPEC
from workers.run import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

LOCKING = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another process holds the store, as if it wrote for as long as the block lasts."""
    words = [sys.executable, "-c", LOCKING, str(database)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        yield
        holder.kill()


@pytest.fixture
def films(workspace: Path) -> str:
    """A prepared dataset, without Spark."""
    return prepared.prepare(workspace, prepared.films_spec(prepared.write_films(workspace / "source")))


def ease(films: str, l2: float = 100.0) -> RunSpec:
    return RunSpec.model_validate({"dataset": films, "model": {"kind": "ease", "l2": l2}})


def verdict(workspace: Path, run_id: str) -> dict[str, Any] | None:
    path = workspace / "runs" / run_id / "verdict.json"
    return json.loads(path.read_text()) if path.is_file() else None


def whole_in_the_store(workspace: Path, run_id: str) -> None:
    """The store has status, metrics, parameters, dataset and artifacts of a finished run, each once."""
    stored = store.get(run_id)
    done = json.loads((workspace / "runs" / run_id / "done.json").read_text())
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["test_ndcg_at_10"] == done["metrics"]["ndcg_at_10"]
    assert len(stored.inputs.dataset_inputs) == 1
    assert {file.path for file in store.client().list_artifacts(run_id)} >= {RESULTS, CHECKPOINT, SPEC, DONE, LOG}
    with sqlite3.connect(workspace / "mlflow.db") as database:
        twice = database.execute("SELECT key, step, count(*) FROM metrics WHERE run_uuid = ? GROUP BY 1, 2 HAVING count(*) > 1", (run_id,))
        assert twice.fetchall() == []


@pytest.mark.fault("F28")
def test_a_store_that_is_locked_from_start_to_end_of_a_run_gets_all_of_it_later(workspace: Path, films: str, record_property: Any) -> None:
    run_id = engine.runs.submit(ease(films))
    with locked(workspace / "mlflow.db"):
        until(lambda: verdict(workspace, run_id), 120)
        ended = time.monotonic()
        assert verdict(workspace, run_id) | {"time": 0} == {"status": "FINISHED", "message": None, "time": 0}  # type: ignore[operator]
        until(lambda: engine.runs.get_run(run_id).state == RunState.FINISHED, 30)
        record_property("truth_s", time.monotonic() - ended)
        run = engine.runs.get_run(run_id)
        assert store.get(run_id).info.status == "SCHEDULED", "the store knows nothing yet"
        assert run.metrics["ndcg_at_10"] > 0 and run.ended_at is not None and not run.live
        assert not processes.is_alive(run_id), "neither the next run nor the page waits for the store"
        engine.runs.cancel_request(run_id)
        assert not (workspace / "runs" / run_id / "cancel").exists(), "it has ended: there is nothing to cancel"
    until(lambda: store.get(run_id).info.status == "FINISHED", 60)
    until(lambda: not processes.processes(run_id), 30)
    whole_in_the_store(workspace, run_id)
    assert engine.runs.get_run(run_id).metrics == run.metrics


@pytest.mark.fault("F28")
def test_what_a_killed_driver_left_is_delivered_by_settling(workspace: Path, films: str) -> None:
    run_id = engine.runs.submit(ease(films))
    with locked(workspace / "mlflow.db"):
        until(lambda: engine.runs.get_run(run_id).state == RunState.FINISHED, 120)
        for process in processes.processes(run_id):
            process.kill()
        until(lambda: not processes.processes(run_id), 30)
    assert not outbox.Courier(run_id, workspace / "runs" / run_id).is_empty()
    engine.runs.settle_all()
    whole_in_the_store(workspace, run_id)
    before = store.get(run_id).to_dictionary()
    engine.runs.settle_all()
    assert engine.runs.deliver(run_id)
    assert store.get(run_id).to_dictionary() == before


@pytest.mark.fault("F28")
def test_a_run_that_waits_for_another_goes_by_files_and_not_by_the_store(workspace: Path, films: str) -> None:
    first = engine.runs.submit(ease(films))
    second = engine.runs.submit(ease(films, 50.0), after=first)
    with locked(workspace / "mlflow.db"):
        until(lambda: verdict(workspace, second), 180)
        assert verdict(workspace, second)["status"] == "FINISHED"  # type: ignore[index]
    for run_id in (first, second):
        until(lambda run_id=run_id: store.get(run_id).info.status == "FINISHED", 60)
        whole_in_the_store(workspace, run_id)
