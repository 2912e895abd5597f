"""Fitted models as their user meets them: the process that fits them, then real drivers, without Spark and TorchDistributor."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import engine
from engine.runs import processes, store
from tests import ranks, tiny
from tests.commands import asked, recbench, until
from tests.integration.test_runs import space  # noqa: F401 - a fixture
from workers.artifacts import PreparedDataset
from workers.batches.likes import read_likes, read_rows
from workers.evaluation import evaluate_matrix
from workers.evaluation.clustered import area_per_user
from workers.models.ease import EASESpec
from workers.specs.protocol import Protocol

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.thorough]
KINDS = ("popularity", "item_knn", "ials", "ease", "markov_chain")
LAUNCHED = (*KINDS, "lightgbm")


def fit(run: Path, dataset: Path, model: dict, anew: bool = False, **train) -> dict:
    """The process of a fit to its end: done.json, or the error that it left. anew: as `python -m workers.training.fit`, else forked."""
    run.mkdir(parents=True)
    (run / "spec.json").write_text(json.dumps({"dataset": "tiny", "model": model, "train": train}))
    if anew:
        words = [sys.executable, "-m", "workers.training.fit", str(run), str(dataset), "1"]
        subprocess.run(words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, timeout=300)
    else:
        ranks.finish([ranks.start(_fit, str(run), str(dataset))], 300)
    left = run / "fit.error.json"
    return json.loads((left if left.exists() else run / "done.json").read_text())


def _fit(run: str, dataset: str) -> None:
    from workers.training import fit

    fit.main(run, dataset, 1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    tiny.write(tiny.groups(users=200, items=80), folder)
    tiny.write_sets(folder)
    return folder


def test_a_fit_leaves_what_a_training_leaves(dataset, tmp_path):
    model = {"kind": "ials", "factors": 8, "alpha": 4, "frequency_scaling": 0}
    done = fit(tmp_path / "run", dataset, model, anew=True, seed=3)
    assert "metrics" in done, done
    assert done["chosen"].keys() == {"model.regularisation", "model.iterations"}
    assert (done["attempt"], done["processes"], done["epochs"], done["best_epoch"]) == (1, 1, 1, 1)
    assert done["parameters"] == 80 * 8
    assert 0 < done["fit_s"] < done["training_s"]
    assert done["metrics"]["recall_at_10"] > 0.9
    results = tmp_path / "run" / "results"
    tried = json.loads((results / "tuning.json").read_text())["tried"]
    records = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    curve = [(r["step"], r["values"]["valid_ndcg_at_10"]) for r in records if "values" in r]
    assert curve == [(place, one["valid"]["ndcg_at_10"]) for place, one in enumerate(tried, 1)]
    assert len(curve) >= 6, "the grid, and what lies beyond its ends while they win"
    assert done["alarms"] == []
    assert "chosen: model.regularisation" in (tmp_path / "run" / "run.log").read_text()
    assert len(pd.read_parquet(results / "item_embeddings.parquet")["embedding"][0]) == 8
    ranked, top = pd.read_parquet(results / "per_user.parquet"), pd.read_parquet(results / "top_k.parquet")
    assert ranked["ndcg_at_10"].mean() == pytest.approx(done["metrics"]["ndcg_at_10"])
    assert list(ranked["user_id"]) == list(top["user_id"])
    _same_rows_and_scores_as_measured(dataset, results, done["metrics"])
    assert done["protocol"] == Protocol().model_dump(mode="json")
    again = fit(tmp_path / "again", dataset, model, anew=True, seed=3)
    assert again["metrics"] == done["metrics"]


@pytest.mark.fault("F56")
def test_a_fit_of_a_share_of_the_users_ranks_for_all_by_their_own_likes(dataset, tmp_path):
    done = fit(tmp_path / "run", dataset, {"kind": "ease", "l2": 10.0}, user_share=0.3)
    prepared = PreparedDataset.open(dataset)
    model, likes = EASESpec(l2=10.0).build(), read_likes(prepared, splits=prepared.known("test"))
    model.fit(read_likes(prepared, share=0.3))
    by_hand = evaluate_matrix(model, likes.matrix, prepared, "test").metrics
    assert {name: done["metrics"][name] for name in by_hand} == pytest.approx(by_hand)
    assert done["users"] == 200
    assert done["train_liked"] == done["rows"] == int(read_likes(prepared, share=0.3).counts.sum())


def test_a_fit_on_too_few_users_says_so(tmp_path):
    frame = tiny.groups(users=24, items=20)
    tiny.write(frame, tmp_path / "few")
    (said,) = fit(tmp_path / "run", tmp_path / "few", {"kind": "popularity"})["alarms"]
    assert said.startswith("Only 24 test users can be ranked for, so that models must differ by 0.10 in NDCG@10 for it to be seen")
    tiny.write(frame[(frame["split"] != "test") | (frame["label"] == 0)], tmp_path / "none")
    (said,) = fit(tmp_path / "again", tmp_path / "none", {"kind": "popularity"})["alarms"]
    assert said.startswith("There are no ranking metrics, since no test user can be ranked for")


def _same_rows_and_scores_as_measured(dataset: Path, results: Path, found: dict) -> None:
    """The stored test rows, each once, give the AUCs that were measured."""
    scored = pd.read_parquet(results / "scored.parquet")
    truth = read_rows(dataset, "test")
    order = np.lexsort((truth.labels, truth.items, truth.users))
    for name, column in (("user", truth.users), ("item", truth.items), ("label", truth.labels), ("known", truth.known)):
        np.testing.assert_array_equal(scored[name], column[order], err_msg=name)
    known = scored[scored["known"]]
    assert roc_auc_score(known["label"], known["score"]) == pytest.approx(found["auc"], abs=1e-6)
    scores, labels, users = (known[name].to_numpy(float) for name in ("score", "label", "user"))
    assert area_per_user(scores, labels, users.astype(int)).value == pytest.approx(found["user_auc"], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_scores_of_items_foretell_ratings_of_sets(kind, dataset, tmp_path):
    found = fit(tmp_path / "run", dataset, {"kind": kind})["metrics"]
    user_mean = json.loads((dataset / "baselines" / "user_mean.json").read_text())
    assert found["set_spearman"] > 0.8 > 0.2 > user_mean["set_spearman"]
    assert found["set_rmse"] < 0.7 < 1 < user_mean["set_rmse"]
    assert found["sets_left_out"] == user_mean["sets_left_out"] == 1


def test_a_fit_that_cannot_be_says_why_and_is_not_done(tmp_path):
    tiny.write_clicks(tmp_path / "dataset", rows=1200)
    found = fit(tmp_path / "run", tmp_path / "dataset", {"kind": "ease"})
    assert "no user and no item" in found["message"]
    assert not (tmp_path / "run" / "done.json").exists()


@pytest.fixture(scope="module")
def fitted(space):  # noqa: F811
    """One run of each kind, launched from the command line."""
    folder, dataset = space
    paths = [folder / f"{kind}.json" for kind in LAUNCHED]
    for kind, path in zip(LAUNCHED, paths, strict=True):
        path.write_text(json.dumps({"dataset": dataset, "model": {"kind": kind}}))
    return [run["run_id"] for run in recbench("train", *map(str, paths), "--wait")["runs"]]


def test_fitted_runs_stand_beside_others_and_recommend_the_lists_that_were_measured(space, fitted):  # noqa: F811
    folder, dataset = space
    found = asked("compare", *fitted)
    value = {(row["metric"], row["contender"]): row["value"] for row in found["table"]}
    stored_popularity = engine.datasets.baseline_results(dataset)["popularity"]  # the run stands in its place
    for metric in ("ndcg_at_10", "recall_at_100", "auc"):
        assert value[metric, "A"] == pytest.approx(stored_popularity[metric], abs=1e-9) and (metric, "pop") not in value
    assert max(value["ndcg_at_10", letter] for letter in "BCD") > value["ndcg_at_10", "A"] > value["ndcg_at_10", "rnd"]
    assert value["log_loss", "D"] is None
    items = engine.datasets.items(dataset).set_index("row")["item_id"]
    for run_id in fitted:
        top = pd.read_parquet(folder / "runs" / run_id / "results" / "top_k.parquet").iloc[0]
        shown = asked("recommend", run_id, "--user", top["user_id"], "--k", "10")["lists"][0]["items"]
        assert [item["item_id"] for item in shown] == [items[row] for row in top["items"][:10]]
        np.testing.assert_allclose([item["score"] for item in shown], top["scores"][:10], rtol=1e-4)
    stored = store.get(fitted[3])
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["test_ndcg_at_10"] == pytest.approx(value["ndcg_at_10", "D"])
    under = {file.path for name in ("results", "checkpoint") for file in store.client().list_artifacts(fitted[3], name)}
    assert {"results/tuning.json", "results/per_user.parquet", "checkpoint/best.json"} <= under
    differs = engine.compare.compare(fitted).differences.set_index("setting")
    assert "(tuned)" in differs.loc["model.l2", "D"]
    assert "starting Spark" not in engine.runs.log_tail(fitted[3])


def test_a_fit_can_be_cancelled_at_any_time_and_a_killed_one_fails(space):  # noqa: F811
    _, dataset = space
    model = {"kind": "ials", "factors": 512, "iterations": 1000, "alpha": 1, "regularisation": 1}
    spec = engine.specs.RunSpec.model_validate({"dataset": dataset, "model": model, "train": {"retries": 0}})

    def fits(run_id: str) -> list:
        return [p for p in processes.processes(run_id) if "workers.training.fit" in p.cmdline()]

    run_id = engine.runs.submit(spec)
    until(lambda: (engine.runs.get_run(run_id).progress or engine.runs.Progress(phase="")).phase == "fitting")
    assert fits(run_id)
    engine.runs.cancel(run_id)  # long before its thousand rounds are over
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.CANCELLED
    assert processes.processes(run_id) == []
    run_id = engine.runs.submit(spec)
    until(lambda: fits(run_id))
    fits(run_id)[0].kill()
    until(lambda: not engine.runs.get_run(run_id).live, 60)
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.FAILED
    assert "The process was killed by signal 9 (SIGKILL)" in (engine.runs.get_run(run_id).message or "")
