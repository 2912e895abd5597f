"""The whole way as its user goes it: real drivers, Spark, TorchDistributor and MLflow, from the command line and the engine."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

import engine
from engine.runs import processes as jobs
from engine.runs import store
from tests import stores
from tests.commands import asked, recbench, until

pytestmark = pytest.mark.slow
SAMPLE = {"name": "small", "source": {"kind": "sample", "users": 300, "items": 120, "interactions": 9000}, "history": 50}


def cache_of(folder: Path) -> Path:
    """Beside the workspace, which is copied while the driver still stores Spark's classes."""
    return folder.with_name(f"{folder.name}-cache")


def prepare_sample(folder: Path) -> None:
    """Prepare sample ratings from the command line, in a workspace where nothing was done before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(cache_of(folder)))
        (folder / "dataset.json").write_text(json.dumps(SAMPLE))
        prepared = recbench("prepare", str(folder / "dataset.json"))
    assert (folder / "datasets" / prepared["dataset"]).is_dir()


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """One workspace with a prepared dataset, shared by the tests of a file, and a cache of its own."""
    folder = stores.copy(stores.once(tmp_path_factory, "sample", prepare_sample), tmp_path_factory.mktemp("space"))
    (prepared,) = (path.name for path in (folder / "datasets").iterdir())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder, prepared
        for run in engine.runs.list_runs():
            if run.live:
                engine.runs.cancel(run.run_id)


def spec(dataset: str, kind: str = "two_tower", **train) -> engine.specs.RunSpec:
    settings = {"epochs": 3, "batch_size": 256, "table_learning_rate": 0.1, **train}
    return engine.specs.RunSpec.model_validate({"dataset": dataset, "model": {"kind": kind}, "train": settings})


@pytest.fixture(scope="module")
def trained(space):
    """A two-tower on two ranks and a DLRM on one, trained from the command line."""
    folder, dataset = space
    paths = []
    for kind, processes in (("two_tower", 2), ("dlrm", 1)):
        paths.append(str(folder / f"{kind}.json"))
        Path(paths[-1]).write_text(spec(dataset, kind, processes=processes).model_dump_json())
    return [run["run_id"] for run in recbench("train", *paths, "--wait")["runs"]]


def test_a_trained_run_is_whole_in_mlflow(space, trained):
    folder, dataset = space
    stored = store.get(trained[0])
    assert stored.info.status == "FINISHED"
    assert stored.data.params["model.kind"] == "two_tower"
    assert stored.data.metrics["test_ndcg_at_10"] > 0
    assert stored.inputs.dataset_inputs[0].dataset.digest == engine.datasets.get_dataset(dataset).manifest["fingerprint"][:36]
    points = store.points(trained[0], "valid_ndcg_at_10")
    assert len(points) == engine.runs.get_run(trained[0]).resources["epochs"]
    assert len({step for step, _, _ in points}) == len(points)  # one value a step
    under = {file.path for name in ("results", "checkpoint") for file in store.client().list_artifacts(trained[0], name)}
    assert {"results/plan.json", "results/item_embeddings.parquet", "results/per_user.parquet", "checkpoint/best.json"} <= under
    import sqlite3

    with sqlite3.connect(folder / "mlflow.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_preparation_leaves_what_spark_loaded_after_its_verdict(tmp_path_factory, space):
    prepared = stores.once(tmp_path_factory, "sample", prepare_sample)
    (log,) = prepared.glob("runs/*/run.log")
    until(lambda: "stored Spark's class archive" in log.read_text(), 300)
    said = log.read_text()
    assert said.index("verdict: FINISHED") < said.index("stored Spark's class archive")
    assert [file.name[:6] for file in (cache_of(prepared) / "recbench").iterdir()] == ["spark-"]


def test_the_comparison_holds_all_contenders_under_one_protocol(trained):
    found = asked("compare", *trained)
    assert [c["name"] for c in found["contenders"]][2:] == ["Popularity", "Random"]
    value = {(row["metric"], row["contender"]): row["value"] for row in found["table"]}
    assert value["ndcg_at_10", "A"] > value["ndcg_at_10", "pop"] > value["ndcg_at_10", "rnd"]
    assert value["auc", "B"] > 0.6
    assert value["log_loss", "A"] is None  # a softmax score is no probability
    assert found["apart"] == []


def test_live_recommendations_are_the_lists_that_were_measured(space, trained):
    """A model put together from two ranks' shards ranks as it did in training; so does a plain dot product of its embeddings."""
    folder, dataset = space
    top = pd.read_parquet(folder / "runs" / trained[0] / "results" / "top_k.parquet")
    items = engine.datasets.items(dataset).set_index("row")["item_id"]
    user = top.iloc[0]
    found = asked("recommend", trained[0], "--user", user["user_id"], "--k", "10")
    shown = [item["item_id"] for item in found["lists"][0]["items"]]
    assert shown == [items[row] for row in user["items"][:10]]

    from engine.recommend.recommender import open_model

    opened = open_model(trained[0])
    state = opened.user_state(user["user_id"])
    embeddings = pd.read_parquet(folder / "runs" / trained[0] / "results" / "item_embeddings.parquet")
    scores = np.stack(embeddings["embedding"]) @ state
    best = embeddings.assign(score=scores)[lambda f: f["row"].isin(user["items"][:10])].sort_values("score", ascending=False)
    assert list(best["row"]) == list(user["items"][:10])


def test_a_funnel_of_two_runs_is_measured_like_any_contender(space, trained):
    """With the whole catalogue as candidates it shows what its ranker shows; with few, what the retriever lost is told."""
    from engine import runs

    folder, _ = space
    whole, few = (engine.runs.submit(runs.funnel(*trained, candidates=n, share=share)) for n, share in ((10_000, 0), (20, None)))
    until(lambda: not engine.runs.get_run(few).live)
    assert [engine.runs.get_run(run).state for run in (whole, few)] == [engine.runs.RunState.FINISHED] * 2, engine.runs.log_tail(whole)
    lists = [pd.read_parquet(folder / "runs" / run / "results" / "top_k.parquet").set_index("user_id") for run in (trained[1], whole)]
    assert all(list(lists[0]["items"][user]) == list(lists[1]["items"][user]) for user in lists[0].index)
    told = {row["candidates"]: row for row in runs.funnel_losses(few)["curve"]}
    assert told[20]["lost_at_retrieval"] > 0 and told[20]["latency_p50_ms"] > 0
    order = runs.funnel_losses(few)["order"]
    assert order["tuned"] and len(order["tried"]) == 11 and runs.funnel_losses(whole)["order"]["share"] == 0
    found = asked("compare", *trained, few)
    assert [c["name"] for c in found["contenders"]][2].startswith("Funnel · Two-tower")
    measured = {row["metric"] for row in asked("compare", *trained, "--k", "5")["table"]}
    assert {"ndcg_at_5", "mrr"} <= measured and "ndcg_at_10" not in measured
    costs = engine.compare.compare([*trained, few]).costs.set_index("fact")
    assert (costs.loc["Latency per list, median", ["A", "B", "C"]].astype(float) > 0).all()
    with pytest.raises(ValueError, match="is a funnel itself"):
        runs.funnel(few, trained[1])
    shown = asked("recommend", few, "--user", lists[0].index[0], "--k", "5")
    kept = pd.read_parquet(folder / "runs" / few / "results" / "top_k.parquet").set_index("user_id")["items"]
    items = engine.datasets.items(space[1]).set_index("row")["item_id"]
    assert [item["item_id"] for item in shown["lists"][0]["items"]] == [items[row] for row in kept[lists[0].index[0]][:5]]


def test_published_vectors_rank_as_the_model_does(space, trained, tmp_path):
    """From Parquet by a plain dot product, and from a vector database by its own search."""
    folder, dataset = space
    told = asked("publish", trained[0], str(tmp_path / "out"))
    items, users = (pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in ("items", "users"))
    assert told["items"] == len(items) and told["users"] == len(users) >= engine.datasets.get_dataset(dataset).counts["users"]
    top = pd.read_parquet(folder / "runs" / trained[0] / "results" / "top_k.parquet").iloc[0]
    query = users.set_index("user_id")["vector"][top["user_id"]]
    scores = pd.Series(np.stack(items["vector"]) @ query, index=items["item_id"])
    names = engine.datasets.items(dataset).set_index("row")["item_id"]
    shown = [names[row] for row in top["items"][:10]]
    assert list(scores[shown].sort_values(ascending=False).index) == shown
    assert np.allclose(scores[shown], top["scores"][:10], atol=1e-4)
    assert asked("publish", trained[0], f"lance:{tmp_path / 'lance'}")["recall"] == 1.0
    assert "no vectors" in asked("publish", trained[1], str(tmp_path / "none"), fails=True)["error"]
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in asked("publish", trained[0], str(tmp_path / "file" / "x"), fails=True)["error"]


@pytest.mark.thorough
@pytest.mark.fault("F13")
def test_one_key_is_one_run_and_a_waiting_run_can_be_cancelled(space):
    _, dataset = space
    long = spec(dataset, "dlrm", epochs=1000, patience=None)
    first = engine.runs.submit(long, key="form-1")
    assert engine.runs.submit(long, key="form-1") == first
    second = engine.runs.submit(spec(dataset))
    until(lambda: (engine.runs.get_run(first).progress or engine.runs.Progress(phase="")).phase == "training")
    assert engine.runs.get_run(second).state == engine.runs.RunState.QUEUED
    engine.runs.cancel(second)
    assert engine.runs.get_run(second).state == engine.runs.RunState.CANCELLED
    third = engine.runs.submit(spec(dataset))
    engine.runs.cancel(third)  # before its driver has drawn breath
    assert engine.runs.get_run(third).state == engine.runs.RunState.CANCELLED
    assert jobs.processes(first)
    recbench("cancel", first)
    assert engine.runs.get_run(first).state == engine.runs.RunState.CANCELLED
    assert jobs.processes(first) == []


@pytest.mark.thorough
def test_a_killed_driver_is_reported_and_settling_it_leaves_nothing_behind(space):
    folder, dataset = space
    run_id = engine.runs.submit(spec(dataset, "dlrm", epochs=1000, patience=None, processes=2, retries=0))
    until(lambda: (engine.runs.get_run(run_id).progress or engine.runs.Progress(phase="")).phase == "training")
    driver = next(p for p in jobs.processes(run_id) if "engine.driver" in " ".join(p.cmdline()))
    os.kill(driver.pid, signal.SIGKILL)
    until(lambda: engine.runs.get_run(run_id).state == engine.runs.RunState.INTERRUPTED)
    engine.runs.settle(run_id)
    assert jobs.processes(run_id) == []
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.INTERRUPTED
    assert "launch the run again" in (engine.runs.get_run(run_id).message or "")
    assert not (folder / "runs" / run_id / "tmp").exists()


@pytest.mark.thorough
def test_a_killed_rank_fails_the_run(space):
    """TorchDistributor returns as if all were well: the verdict must not come from it."""
    _, dataset = space
    run_id = engine.runs.submit(spec(dataset, "dlrm", epochs=1000, patience=None, processes=2, retries=0))
    until(lambda: (engine.runs.get_run(run_id).progress or engine.runs.Progress(phase="")).phase == "training")
    ranks = [p for p in jobs.processes(run_id) if p.environ().get("RANK") == "1"]
    min(ranks, key=lambda p: p.create_time()).send_signal(signal.SIGKILL)  # the oldest: its children have RANK too
    until(lambda: not engine.runs.get_run(run_id).live)
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.FAILED
    assert engine.runs.get_run(run_id).message
    assert not [p for p in psutil.process_iter() if p in ranks and p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_bad_input_is_one_sentence_and_starts_nothing(space):
    folder, _ = space
    before = len(engine.runs.list_runs())
    (folder / "bad.json").write_text(json.dumps({"dataset": "gone-0123456789ab", "model": {"kind": "dlrm"}}))
    assert "gone-0123456789ab" in asked("train", str(folder / "bad.json"), fails=True)["error"]
    (folder / "bad.json").write_text(json.dumps({"dataset": "small-0", "model": {"kind": "dlrm"}, "train": {"epochs": 0}}))
    assert "train.epochs is 0" in asked("train", str(folder / "bad.json"), fails=True)["error"]
    assert "There is no run" in asked("cancel", "0" * 32, fails=True)["error"]
    assert "There is no run" in asked("compare", "0" * 32, fails=True)["error"]
    assert len(engine.runs.list_runs()) == before


@pytest.mark.fault("F38")
def test_a_dataset_that_was_tampered_with_is_refused_by_name(space):
    folder, dataset = space
    shard = next((folder / "datasets" / dataset / "train").rglob("*.mds"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        run_id = engine.runs.submit(spec(dataset))
        until(lambda: not engine.runs.get_run(run_id).live)
        run = engine.runs.get_run(run_id)
        assert run.state == engine.runs.RunState.FAILED
        assert shard.name in (run.message or "")
    finally:
        shard.write_bytes(whole)


def test_features_of_a_run_are_tested_by_a_run_of_its_own(space, trained):
    """The metric with all features in place is the one that the run was measured with, and only a network has features to test."""
    found = recbench("features", trained[1])
    measured = engine.runs.get_run(trained[1]).metrics
    assert (found["metric"], found["value"]) == ("auc", pytest.approx(measured["auc"], abs=1e-6))
    tested = engine.features.tests_of(trained[1])[0]
    assert (tested.run.run_id, tested.run.kind, tested.run.dataset) == (found["run_id"], "features", space[1])
    assert tested.result is not None
    named = {name for one in tested.result.each for name in one.features}
    assert {"item_id", "history"} <= named
    assert found["run_id"] not in {run.run_id for run in engine.runs.list_runs("train")}
    less = engine.features.run_without(engine.runs.get_run(trained[1]), tested.result.each[-1])
    assert less is not None
    assert less.model.without == tested.result.each[-1].features
