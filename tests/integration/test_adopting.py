"""A store that was deleted, emptied or replaced is made whole again from the run folders. A real driver, real stores."""

import fcntl
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import engine
from engine.cli import main
from engine.runs import RunState, opened, processes, store
from engine.runs.records import ANNOTATIONS, RUN
from tests import prepared, stores, workspace
from tests.commands import asked, until
from workers.run import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def lived_in(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a run of a real driver, annotated, and runs that ended otherwise, one of them of an earlier version."""
    folder = stores.copy(empty_store, tmp_path_factory.mktemp("lived-in") / "workspace")
    with workspace.entered(folder):
        films = prepared.prepare(folder, prepared.films_spec(prepared.write_films(folder / "source")))
        spec = RunSpec.model_validate({"dataset": films, "model": {"kind": "ease"}})
        run_id = engine.runs.submit(spec, key="mine")
        until(lambda: store.get(run_id).info.status == "FINISHED" and not processes.is_alive(run_id), 200)
        engine.runs.rename(run_id, "The best")
        engine.runs.annotate(run_id, "two\nlines")
        engine.runs.tag(run_id, ["keep", "this"])
        engine.runs.pin(run_id)
        for state in ("failed", "cancelled", "interrupted"):
            workspace.in_state(state, films)
        with workspace.trainer() as train:
            train(RunSpec.model_validate({"dataset": films, "model": {"kind": "dlrm", "embedding_dim": 8}, "train": workspace.LONGER}))
        engine.runs.trash([workspace.in_state("failed", films)])
    return folder


@pytest.fixture
def space(lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one test."""
    folder = stores.copy(lived_in, tmp_path / "workspace")
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    return folder


def remove(space: Path) -> None:
    for path in space.glob("mlflow.db*"):
        path.unlink()


def known(space: Path) -> dict[str, dict[str, Any]]:
    """All that a stock client reads of each run, but what belongs to the workspace's place and to how the store was told."""
    client = MlflowClient(tracking_uri=f"sqlite:///{space / 'mlflow.db'}")
    told = {}
    for run in [run for kinds in (False, True) for run in engine.runs.list_runs(trashed=kinds)]:
        stored = client.get_run(run.run_id)
        told[run.run_id] = {
            "run": run.model_dump(exclude={"submitted_at", "ended_at", "started_at"}),
            "times": (run.submitted_at, run.started_at, run.ended_at),
            "params": stored.data.params,
            "metrics": {
                name: sorted({(point.step, point.value) for point in client.get_metric_history(run.run_id, name)})
                for name in stored.data.metrics
            },
            "tags": {name: value for name, value in stored.data.tags.items() if not name.endswith(("claim", "workspace_id", "user"))},
            "inputs": [one.dataset.digest for one in stored.inputs.dataset_inputs],
            "artifacts": sorted(file.path for file in client.list_artifacts(run.run_id)),
        }
    return told


def same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before.keys() == after.keys()
    for run_id, said in before.items():
        # in the tests' own runs, which no driver recorded, neither inputs nor the log are in the store: adopting adds them
        driven = (engine.settings.settings().runs / run_id / RUN).exists()
        for name in said if driven else ("run", "params", "metrics"):
            assert said[name] == after[run_id][name], (run_id, name)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("lost", ["deleted", "emptied"])
def test_a_lost_store_is_told_of_and_adopting_brings_all_back(
    space: Path, lost: str, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    before = known(space)
    assert len(before) == 6
    if lost == "deleted":
        remove(space)
    else:
        (space / "mlflow.db").write_bytes(b"")
    main(["runs"])
    said = capsys.readouterr()
    assert "No runs yet" in said.out
    assert "recbench: The store is new, but 6 run folders are here: adopt them with `recbench adopt`." in said.err
    record_property("truth_s", 0)

    done = engine.runs.adopt()
    assert (set(done.new), done.completed, done.left) == (set(before), (), ())
    same(before, known(space))
    assert engine.runs.adoption_hint() is None
    assert engine.runs.adopt() == engine.runs.Adoption((), (), ())
    best = next(run for run in engine.runs.list_runs() if run.title == "The best")
    assert (best.note, best.tags, best.pinned) == ("two\nlines", ("keep", "this"), True)
    assert engine.runs.submit(best.training, key="mine") == best.run_id, "the same key is the same run"
    assert engine.compare.compare([best.run_id]).contenders, "its results are used as before"
    main(["runs"])
    assert "adopt" not in capsys.readouterr().err


@pytest.mark.fault("F29")
def test_a_store_of_an_older_day_is_completed(space: Path) -> None:
    """A backup: the newest run is unknown to it, and another is still under way in it."""
    before = known(space)
    one, other = [run_id for run_id, said in before.items() if said["run"]["state"] == RunState.FINISHED]
    with sqlite3.connect(space / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (one,))
        database.execute("UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE run_uuid = ?", (one,))
    store.client()._tracking_client.store._hard_delete_run(other)
    done = engine.runs.adopt()
    assert (done.new, done.completed) == ((other,), (one,))
    same(before, known(space))
    assert engine.runs.adopt() == engine.runs.Adoption((), (), ())


def test_a_stock_client_and_the_server_of_mlflow_read_an_adopted_run(space: Path) -> None:
    run_id = next(run.run_id for run in engine.runs.list_runs() if run.title == "The best")
    remove(space)
    engine.runs.adopt()
    script = (
        "import sys; from mlflow.server.handlers import initialize_backend_stores; "
        "uri, run_id = sys.argv[1:]; initialize_backend_stores(uri, default_artifact_root='/tmp'); "
        "import mlflow.server as server; "
        "answer = server.app.test_client().get('/api/2.0/mlflow/runs/get', query_string={'run_id': run_id}).get_json(); "
        "print(answer['run']['info']['run_name'], answer['run']['info']['status'])"
    )
    words = [sys.executable, "-c", script, f"sqlite:///{space / 'mlflow.db'}", run_id]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.stdout.splitlines()[-1:] == ["The best FINISHED"], ended.stderr[-1500:]


@pytest.mark.fault("F29")
def test_a_store_that_is_deleted_while_a_driver_works_gets_its_run_back(space: Path) -> None:
    spec = next(run.training for run in engine.runs.list_runs() if run.title == "The best")
    slow = spec.model_copy(update={"model": type(spec.model)(l2=33.0)})
    run_id = engine.runs.submit(slow)
    until(lambda: store.get(run_id).info.status == "RUNNING", 100)
    remove(space)
    assert run_id in engine.runs.adopt().new
    assert store.get(run_id).info.status in ("SCHEDULED", "RUNNING", "FINISHED")
    until(lambda: store.get(run_id).info.status == "FINISHED", 200)
    until(lambda: not processes.processes(run_id), 30)
    stored = store.get(run_id)
    assert "test_ndcg_at_10" in stored.data.metrics
    assert len(stored.inputs.dataset_inputs) == 1
    assert engine.runs.adopt() == engine.runs.Adoption((), (), ())


def test_what_is_no_run_is_left_with_a_reason_and_the_others_are_taken_in(space: Path) -> None:
    remove(space)
    copied, foreign = space / "runs" / ("a" * 32), space / "runs" / ("b" * 32)
    best = next(path.parent for path in (space / "runs").glob(f"*/{ANNOTATIONS}") if "The best" in path.read_text())
    shutil.copytree(best, copied)
    foreign.mkdir()
    (foreign / "spec.json").write_text("{}")
    (space / "runs" / "notes").mkdir()
    done = engine.runs.adopt()
    assert len(done.new) == 6
    assert {run_id: "is a copy of run" in why or "the spec of no kind of run" in why for run_id, why in done.left} == {
        copied.name: True, foreign.name: True,
    }  # fmt: skip


def test_adopting_is_a_command(space: Path) -> None:
    remove(space)
    answer = asked("adopt")
    assert len(answer["new"]) == 6
    assert asked("adopt") == {"new": [], "completed": [], "left": []}


def test_a_fresh_workspace_is_silent(untouched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["runs"])
    assert capsys.readouterr().err == ""
    assert engine.runs.adoption_hint() is None


@pytest.fixture
def held(space: Path) -> Iterator[str]:
    """A run that is under way, by its lock."""
    run_id = workspace.in_state("running", engine.datasets.list_datasets()[0].id)
    with (space / "runs" / run_id / processes.LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run_id


def test_a_run_under_way_is_taken_in_as_such(space: Path, held: str) -> None:
    remove(space)
    assert held in engine.runs.adopt().new
    run = engine.runs.get_run(held)
    assert run.live and run.progress is not None
    assert json.loads((space / "runs" / held / "spec.json").read_text())["dataset"] == run.dataset
    assert opened.current().made
