"""Reading a run whose driver died changes nothing; `settle` ends what is left of it and records how it ended. Real drivers, kill -9."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import engine
from engine.runs import RunState, processes, store
from tests.commands import until

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


def start(workspace: Path, **changes: Any) -> tuple[str, psutil.Process]:
    """A preparation whose driver works, and that driver."""
    run_id = engine.runs.submit(engine.datasets.DatasetSpec.model_validate({"name": "s", "source": {"kind": "sample"}} | changes))
    until(lambda: store.get(run_id).info.status == "RUNNING")
    return run_id, next(p for p in processes.processes(run_id) if "engine.driver" in " ".join(p.cmdline()))


def kill(run_id: str, driver: psutil.Process) -> None:
    driver.kill()
    until(lambda: not processes.is_alive(run_id), 30)


@pytest.fixture
def orphan() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a process of a run that does not end with the run's driver."""
    started = []

    def start(run_id: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", "import time; time.sleep(600)"]
        started.append(subprocess.Popen(words, env={**os.environ, processes.TOKEN: run_id}, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def everything(workspace: Path, run_id: str) -> tuple[list[str], dict[str, Any], dict[str, tuple[int, int]]]:
    """Every row of the store, the run as MLflow gives it, and size and time of change of each file and folder of the run."""
    with sqlite3.connect(f"file:{workspace / 'mlflow.db'}?mode=ro", uri=True) as database:
        rows = list(database.iterdump())
    folder = workspace / "runs" / run_id
    stats = {str(path): path.stat() for path in (folder, *folder.rglob("*"))}
    return rows, store.get(run_id).to_dictionary(), {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def test_reading_leaves_a_run_whose_driver_was_killed_as_it_is_and_settle_ends_and_records_it(
    workspace: Path, orphan: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    run_id, driver = start(workspace)
    left = orphan(run_id)
    kill(run_id, driver)
    until(lambda: [p.pid for p in processes.processes(run_id)] == [left.pid], 60)  # Spark's JVM ends without its driver
    until(lambda: engine.runs.get_run(run_id).state == RunState.INTERRUPTED, 30)
    before = everything(workspace, run_id)
    for run in (engine.runs.get_run(run_id), *engine.runs.list_runs(), *engine.runs.list_runs("prepare")):
        assert run.state == RunState.INTERRUPTED
        assert "launch the run again" in (run.message or "")
        assert run.progress is None
        assert run.ended_at is None, "nobody recorded when"
    engine.runs.log_tail(run_id), engine.runs.history(run_id), engine.runs.done(run_id), engine.runs.dependents(run_id)
    assert everything(workspace, run_id) == before
    assert left.poll() is None

    engine.runs.settle(run_id)
    left.wait(timeout=10)
    assert processes.processes(run_id) == []
    stored = store.get(run_id)
    assert (stored.info.status, stored.data.tags["recbench.interrupted"]) == ("FAILED", "true")
    assert "launch the run again" in stored.data.tags["recbench.message"]
    run = engine.runs.get_run(run_id)
    assert run.state == RunState.INTERRUPTED
    assert run.ended_at is not None
    assert not (workspace / "runs" / run_id / "tmp").exists()
    settled = everything(workspace, run_id)
    engine.runs.settle(run_id)
    assert everything(workspace, run_id) == settled, "a settled run is left as it is"


def test_a_verdict_that_the_store_never_got_is_reported_by_reading_and_recorded_by_settle(workspace: Path) -> None:
    """The store is locked while the driver would record its verdict; then the driver is killed."""
    run_id, driver = start(workspace, label={"kind": "threshold", "threshold": 99})
    verdict = workspace / "runs" / run_id / "verdict.json"
    database = sqlite3.connect(workspace / "mlflow.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    until(verdict.is_file)
    kill(run_id, driver)
    database.execute("ROLLBACK")
    database.close()
    assert json.loads(verdict.read_text())["status"] == "FAILED"
    before = everything(workspace, run_id)
    assert before[1]["info"]["status"] == "RUNNING"
    run = engine.runs.get_run(run_id)
    assert run.state == RunState.FAILED
    assert "is liked at a threshold of 99" in (run.message or "")
    assert everything(workspace, run_id) == before
    engine.runs.settle_all()
    stored = store.get(run_id)
    assert stored.info.status == "FAILED"
    assert "recbench.interrupted" not in stored.data.tags
    assert "is liked at a threshold of 99" in stored.data.tags["recbench.message"]
    assert engine.runs.get_run(run_id).state == RunState.FAILED


@pytest.mark.parametrize(
    ("status", "state"), [("FINISHED", RunState.FINISHED), ("KILLED", RunState.CANCELLED), ("FAILED", RunState.FAILED)]
)
def test_each_verdict_is_recorded_under_its_status(workspace: Path, status: store.Status, state: RunState) -> None:
    spec = engine.datasets.DatasetSpec.model_validate({"source": {"kind": "sample"}})
    run_id = store.create("prepare", "Prepare s", spec, {})
    store.set_status(run_id, "RUNNING")
    folder = workspace / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / processes.LOCK).touch()
    (folder / "verdict.json").write_text(json.dumps({"status": status, "message": "It is over.", "time": time.time()}))
    until(lambda: engine.runs.get_run(run_id).state == state, 30)  # a run is left alone in its first seconds
    assert store.get(run_id).info.status == "RUNNING"
    engine.runs.settle(run_id)
    assert store.get(run_id).info.status == status
    assert engine.runs.get_run(run_id).message == "It is over."
