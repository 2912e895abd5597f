"""A run's settings trained again on newer data: the older model over the newer test, against models that are written down anew."""

from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import engine
from engine.compare import Outcome, backtest
from engine.specs import RunSpec
from tests import prepared
from tests import workspace as workspaces
from tests.commands import asked, recbench
from workers.evaluation import tie_order
from workers.specs import TIE_SEED

EASE = {"kind": "ease"}


class Ages(NamedTuple):
    """Ratings up to a time, and all of them; prepared with the same settings."""

    older: Path
    newer: Path
    old: str  # ids of datasets
    new: str


@pytest.fixture
def ages(workspace: Path, tmp_path: Path) -> Ages:
    """Films are met all the time; three of them, and a few users, by nobody before the newer rows."""
    newer = prepared.write_films(tmp_path / "newer", users=90, items=40)
    older = prepared.write_films(tmp_path / "older", users=90, items=40)
    rows = pd.read_csv(newer)
    chance = np.random.default_rng(3).random(len(rows))
    late = rows["item"].isin(["i1", "i2", "i3"]) | rows["user"].isin([4, 5, 6, 7, 8])
    rows["time"] = np.where(late, 0.75 + 0.25 * chance, chance).argsort().argsort() * 3600 + 1_600_000_000
    rows.to_csv(newer, index=False)
    rows[rows["time"] <= rows["time"].quantile(0.75)].to_csv(older, index=False)
    ids = [prepared.prepare(workspace, prepared.films_spec(path, "films")) for path in (older, newer)]
    return Ages(older, newer, *ids)


def likes(dataset: str, *splits: str) -> pd.DataFrame:
    """Users by items, 1 where liked in some splits."""
    rows = pd.read_parquet(engine.datasets.get_dataset(dataset).path / "interactions")
    rows = rows[rows["split"].isin(splits) & (rows["label"] > 0)]
    return pd.crosstab(rows["user_id"], rows["item_id"]).clip(upper=1)


def scores(kind: str, ages: Ages) -> pd.DataFrame:
    """Users by items of the newer data, by a model of the older train written down anew; -inf for an item that it did not have."""
    train, now = likes(ages.old, "train"), likes(ages.new, "train", "valid")
    known = engine.datasets.items(ages.old).query("row > 0")["item_id"]
    train, met = train.reindex(columns=known, fill_value=0), now.reindex(columns=known, fill_value=0)
    if kind == "popularity":
        weights = pd.DataFrame(np.tile(train.sum().to_numpy(float), (len(met), 1)), met.index, known)
    else:  # Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, equation 8
        inverse = np.linalg.inv(train.T @ train + 10 * np.eye(len(known)))
        own = -inverse / np.diag(inverse)
        np.fill_diagonal(own, 0)
        weights = pd.DataFrame(met.to_numpy() @ own, met.index, known)
    items = engine.datasets.items(ages.new).query("row > 0").sort_values("row")["item_id"]
    return weights.reindex(columns=items, fill_value=-np.inf)


def ndcg(kind: str, ages: Ages) -> pd.Series:
    """NDCG@10 of each user of the newer test."""
    every, found = scores(kind, ages), {}
    ties = tie_order(every.shape[1], TIE_SEED)
    for user in pd.read_parquet(engine.datasets.get_dataset(ages.new).path / "ranking" / "test.parquet").itertuples():
        score = every.loc[user.user_id].to_numpy(np.float32)
        score[np.asarray(user.seen) - 1] = -np.inf
        best = [place for place in np.lexsort((-ties, -score))[:10] if score[place] > -np.inf]
        gains = [float(place + 1 in set(user.relevant)) / np.log2(rank + 2) for rank, place in enumerate(best)]
        found[user.user_id] = sum(gains) / sum(1 / np.log2(rank + 2) for rank in range(min(10, len(user.relevant))))
    return pd.Series(found)


@pytest.mark.parametrize("kind", ["popularity", "ease"])
def test_the_older_model_is_judged_over_the_newer_test(kind: str, ages: Ages, tmp_path: Path) -> None:
    model = {"kind": kind} | ({"l2": 10} if kind == "ease" else {})
    with workspaces.trainer() as train:
        old = train(RunSpec.model_validate({"dataset": ages.old, "model": model}))
        spec = backtest.newer_run(old, ages.new)
        assert spec.dataset == ages.new and spec.model.kind == kind
        assert backtest.trained_as(spec) is None
        new = train(spec)
    stale = ndcg(kind, ages)
    assert not set(stale.index) <= set(likes(ages.old, "train").index), "somebody is new to the older model"
    assert np.isinf(scores(kind, ages)).to_numpy().any(), "and so is an item"
    fresh = engine.runs.per_user(new).set_index("user_id")["ndcg_at_10"].reindex(stale.index)
    gate = engine.compare.gate(new, old, tolerance=0.05)
    assert (gate.dataset, gate.n) == (ages.new, len(stale))
    assert (gate.value, gate.value_against) == pytest.approx((fresh.mean(), stale.mean()))
    margin = 0.05 * stale.mean()
    greater = stats.ttest_1samp(fresh - stale, -margin, alternative="greater").pvalue
    less = stats.ttest_1samp(fresh - stale, -margin, alternative="less").pvalue
    wanted = Outcome.NOT_WORSE if greater < 0.05 else Outcome.WORSE if less < 0.05 else Outcome.UNKNOWN
    assert gate.outcome is wanted
    junit = tmp_path / "gate.xml"
    words = ("retrain", old, "--data", ages.new, "--tolerance", "5%", "--junit", str(junit))
    answer = asked(*words, fails=wanted is not Outcome.NOT_WORSE)
    assert (answer["exit_code"], answer["sentence"]) == (wanted.exit_code, gate.sentence)
    assert ElementTree.parse(junit).getroot()[0].attrib["name"] == f"{new} against {old}", "the run that was there is judged"
    with pytest.raises(ValueError, match="of an older model cannot be measured on newer data; choose one of"):
        engine.compare.gate(new, old, "auc")


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"label": {"kind": "threshold", "threshold": 5}}, r"label\.threshold was 4\.0 and is 5\.0"),
        ({"history_order": "before"}, "history_order was others and is before"),
        ({"split": {"kind": "random"}}, "split.kind was time and is random"),
    ],
)
def test_data_that_are_prepared_otherwise_are_refused_with_what_differs(
    ages: Ages, workspace: Path, rules: dict[str, object], reason: str
) -> None:
    other = prepared.prepare(workspace, prepared.films_spec(ages.newer, "other", **rules))
    with workspaces.trainer() as train:
        old = train(RunSpec.model_validate({"dataset": ages.old, "model": {"kind": "popularity"}}))
    with pytest.raises(ValueError, match=f"{other} is no newer state of {ages.old}: .*{reason}"):
        backtest.newer_run(old, other)
    answer = asked("retrain", old, "--data", other, fails=True)
    assert "Prepare the newer data with the settings of" in answer["error"]


def test_a_split_at_random_has_no_newer_test(ages: Ages, workspace: Path) -> None:
    drawn = [prepared.prepare(workspace, prepared.films_spec(path, split={"kind": "random"})) for path in (ages.older, ages.newer)]
    with workspaces.trainer() as train:
        old = train(RunSpec.model_validate({"dataset": drawn[0], "model": {"kind": "popularity"}}))
    with pytest.raises(ValueError, match="may have trained on rows of a newer test"):
        backtest.newer_run(old, drawn[1])


@pytest.mark.slow
@pytest.mark.thorough
def test_a_newer_file_is_prepared_trained_on_and_judged(ages: Ages, tmp_path: Path) -> None:
    """With Spark, a search for settings, and processes as they are; the same command again launches nothing."""
    dataset = engine.datasets.dataset_id(spec := prepared.films_spec(ages.older, "real"))
    (tmp_path / "data.json").write_text(spec.model_dump_json())
    assert recbench("prepare", str(tmp_path / "data.json"))["dataset"] == dataset
    (tmp_path / "run.json").write_text(RunSpec.model_validate({"dataset": dataset, "model": EASE}).model_dump_json())
    (old,) = recbench("train", str(tmp_path / "run.json"), "--wait")["runs"]
    words = ("retrain", old["run_id"], "--data", str(ages.newer), "--tolerance", "90%")
    answer = recbench(*words)
    assert (answer["outcome"], answer["exit_code"], answer["against"]) == ("not worse", 0, old["run_id"])
    run = engine.runs.get_run(answer["candidate"])
    assert run.dataset == engine.datasets.dataset_id(prepared.films_spec(ages.newer, "real")) == answer["dataset"]
    assert run.training.model.l2 == engine.runs.done(old["run_id"])["chosen"]["model.l2"], "as chosen, and not searched again"  # type: ignore[attr-defined]
    assert run.training.train.seed == engine.runs.get_run(old["run_id"]).training.train.seed
    assert recbench(*words)["candidate"] == answer["candidate"]
