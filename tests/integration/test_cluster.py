"""Runs on a real Spark cluster: a standalone master and two workers, whose Python lacks the workbench (`tests.cluster`)."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import engine
from engine.compute import Compute, using
from engine.runs import Run, RunState, store
from engine.specs import RunSpec
from tests import objects, postgres, prepared, tiny
from tests.cluster import Cluster, cluster
from tests.commands import recbench
from tests.hosts import apart, why_not
from tests.pages.reading import opened
from workers.run import TOKEN

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
PATIENCE_S = 800.0  # of one run, on a machine that others use too


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def compute(hosts: Cluster) -> Compute:
    return hosts.compute()


def ended(run_id: str) -> Run:
    until(lambda: not engine.runs.get_run(run_id).live)
    return engine.runs.get_run(run_id)


def until(there: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def ranks(run_id: str) -> set[int]:
    """Launchers and ranks of a run, on all hosts: they are one machine here."""
    found = set()
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if ("torch.distributed.run" in words or any(w.endswith("train.py") for w in words)) and process.environ()[TOKEN] == run_id:
                found.add(process.pid)
        except (psutil.Error, KeyError):
            continue
    return found


def training(workspace: Path, kind: str = "two_tower", **train: object) -> str:
    """A network with a rank on each of two executors."""
    folder = workspace / "datasets" / "tiny-0123456789ab"
    if not folder.exists():
        from tests.exported import write

        write(workspace, tiny.groups(users=120, items=60))
    settings = {"processes": 2, "local_mode": False, "epochs": 2, "batch_size": 64, **train}
    return engine.runs.submit(RunSpec.model_validate({"dataset": folder.name, "model": {"kind": kind}, "train": settings}))


def is_training(run_id: str, steps: int) -> bool:
    now = engine.runs.progress(engine.settings.settings().runs / run_id)
    assert engine.runs.get_run(run_id).live, engine.runs.get_run(run_id).message
    return now is not None and now.phase == "training" and now.step >= steps


def test_a_preparation_runs_where_nobody_installed_the_workbench(hosts: Cluster, compute: Compute, workspace: Path) -> None:
    spec = engine.datasets.DatasetSpec.model_validate({"name": "sample", "source": {"kind": "sample"}})
    with using(compute):
        run = ended(engine.runs.submit(spec))
    assert run.state is RunState.FINISHED, run.message
    engine.datasets.verify(engine.datasets.dataset_id(spec))
    apps = hosts.state()["completedapps"]
    assert any("prepare sample" in app["name"] for app in apps), "it ran on the cluster"


def test_ranks_are_barrier_tasks_that_take_their_cores_and_get_their_variables(hosts: Cluster, compute: Compute, workspace: Path) -> None:
    with using(compute):
        run_id = training(workspace, epochs=1000, patience=1000)
        until(lambda: is_training(run_id, 3))
        (app,) = hosts.state()["activeapps"]
        threads = {psutil.Process(pid).environ().get("OMP_NUM_THREADS") for pid in ranks(run_id)}
        engine.runs.cancel(run_id)
    assert (app["cores"], threads) == (2, {"1"})
    run = ended(run_id)
    assert run.state is RunState.CANCELLED, run.message
    assert not ranks(run_id)
    assert "no rank of the run is left" in engine.runs.log_text(run_id)
    until(lambda: not hosts.state()["activeapps"])


@pytest.mark.parametrize("kind", ["two_tower", "dlrm"])  # whose ranks exchange by gloo, and in memory that they share
def test_a_lost_executor_costs_an_attempt_and_not_the_run(kind: str, hosts: Cluster, compute: Compute, workspace: Path) -> None:
    with using(compute):
        run_id = training(workspace, kind, epochs=60, retries=1)
        until(lambda: is_training(run_id, 30))
        before = ranks(run_id)
        hosts.kill_executor()
        run = ended(run_id)
    assert run.state is RunState.FINISHED, run.message
    assert json.loads((workspace / "runs" / run_id / "attempt.json").read_text())["number"] == 2
    assert not before & ranks(run_id)


def test_everyones_lists_are_made_on_executors_and_are_those_of_one_process(
    hosts: Cluster, compute: Compute, workspace: Path, tmp_path: Path
) -> None:
    from tests.exported import ID, write

    write(workspace, tiny.groups(users=4200, items=16, groups=2))  # two parts
    fitted = ended(engine.runs.submit(RunSpec.model_validate({"dataset": ID, "model": {"kind": "ease", "l2": 10}}))).run_id
    alone = ended(engine.runs.export_lists(fitted, to=tmp_path / "alone"))
    with using(compute):
        spread = ended(engine.runs.export_lists(fitted, to=tmp_path / "spread"))
        stopped = engine.runs.export_lists(fitted, to=tmp_path / "stopped")
        until(lambda: (now := engine.runs.get_run(stopped).progress) is not None and now.phase == "starting Spark")
        engine.runs.cancel(stopped)
    assert spread.state is RunState.FINISHED, spread.message
    for name in ("top.parquet", "top.csv"):
        assert (tmp_path / "spread" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    told = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("alone", "spread")]
    assert {key: told[0][key] for key in told[0] if key not in ("export", "created_at")} == {
        key: told[1][key] for key in told[1] if key not in ("export", "created_at")
    }
    assert alone.resources["rows"] == spread.resources["rows"] > 0
    assert any("recbench export" in app["name"] for app in hosts.state()["completedapps"]), "it ran on the cluster"
    assert engine.runs.get_run(stopped).state is RunState.CANCELLED
    assert sorted(path.name for path in tmp_path.iterdir() if "stopped" in path.name or path.name.endswith(".partial")) == []
    until(lambda: not hosts.state()["activeapps"])


def test_a_cluster_that_cannot_run_it_is_said_in_a_sentence(hosts: Cluster, compute: Compute, workspace: Path) -> None:
    with using(compute.model_copy(update={"python": "/no/such/python"})):
        assert "cannot start Python (/no/such/python)" in (ended(training(workspace)).message or "")
    with using(compute.model_copy(update={"memory_gb": 64.0, "wait_minutes": 0.2})):
        assert "gave 0 of 2 executors with 1 cores and 64 GB in 12 s" in (ended(training(workspace)).message or "")


def test_a_run_of_the_cluster_is_read_by_a_second_workspace_from_postgresql_and_s3(
    compute: Compute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anns, bobs = tmp_path / "ann", tmp_path / "bob"
    with postgres.running() as database, objects.running() as server:
        objects.lead(monkeypatch, server)
        monkeypatch.setenv("RECBENCH_TRACKING_URI", database.database())
        monkeypatch.setenv("RECBENCH_ARTIFACT_ROOT", f"s3://{server.bucket()}/mlflow")
        monkeypatch.setenv("RECBENCH_WORKSPACE", str(anns))
        films = prepared.prepare(anns, prepared.films_spec(prepared.write_films(tmp_path / "source")))
        spread = {"processes": 2, "local_mode": False, "epochs": 2, "batch_size": 64}
        specs = ({"model": {"kind": "two_tower"}, "train": spread}, {"model": {"kind": "ease"}})
        with using(compute):
            runs = [ended(engine.runs.submit(RunSpec.model_validate({"dataset": films} | spec))) for spec in specs]
        assert [run.state for run in runs] == [RunState.FINISHED] * 2, [run.message for run in runs]
        ids = [run.run_id for run in runs]
        user = engine.datasets.search_users(films)["user_id"].iloc[0]
        compared, recommended = recbench("compare", *ids), recbench("recommend", ids[0], "--user", user)
        shutil.copytree(anns / "datasets", bobs / "datasets")
        shutil.rmtree(anns)
        monkeypatch.setenv("RECBENCH_WORKSPACE", str(bobs))
        found = recbench("compare", *ids)
        assert found["incomplete"] == {} and found["table"] == compared["table"] and found["pairs"] == compared["pairs"]
        assert recbench("recommend", ids[0], "--user", user) == recommended
        page = opened("compare", runs=",".join(ids))
        assert not page.exception and not page.error
        store.opened.forget()


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if why := why_not():
        pytest.skip(why)
    with apart(2) as hosts, cluster(tmp_path_factory.mktemp("apart"), hosts) as running:
        yield running


def test_two_hosts_train_together_end_together_and_prepare(two_hosts: Cluster, workspace: Path) -> None:
    with using(two_hosts.compute()):
        trained = ended(training(workspace, epochs=2))
        assert trained.state is RunState.FINISHED, trained.message
        log = engine.runs.log_text(trained.run_id)
        assert all(f"on {name}" in log or name in log for name in ("host0", "host1")), "a rank on each"
        cancelled = training(workspace, epochs=1000, patience=1000)
        until(lambda: is_training(cancelled, 3))
        assert len(ranks(cancelled)) >= 2
        engine.runs.cancel(cancelled)
        assert ended(cancelled).state is RunState.CANCELLED
        assert not ranks(cancelled)
        spec = engine.datasets.DatasetSpec.model_validate({"name": "sample", "source": {"kind": "sample"}})
        prepared = ended(engine.runs.submit(spec))
    assert prepared.state is RunState.FINISHED, prepared.message
