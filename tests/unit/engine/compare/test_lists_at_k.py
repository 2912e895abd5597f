"""Metrics of stored lists at any k: those that ranking again would give, and in a comparison beside what runs stored."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import engine
from engine import compare, runs
from engine.compare import lists_at_k
from engine.runs import read
from tests import tiny
from tests.records import run
from workers import evaluation
from workers.artifacts.results import LIST_NAMES, METRICS, RANKING_NAMES
from workers.evaluation.evaluate import catalogue, summarise, users_to_rank, write_ranked
from workers.evaluation.lists import facts_of, list_metrics, padded, ranking_metrics
from workers.evaluation.ranking import rank_users
from workers.specs.protocol import Protocol

DATASET = "tiny-0123456789ab"
FACTS = ("format", "id", "name", "fingerprint")


@pytest.fixture
def dataset(workspace: Path) -> Path:
    """A prepared dataset in the workspace, whose items have genres."""
    folder = workspace / "datasets" / DATASET
    tiny.write(tiny.groups(), folder)
    items = pd.read_parquet(folder / "items.parquet")
    genres = [("A|B", "B|C", "C", None)[row % 4] for row in items["row"]]
    items.assign(genres=genres).to_parquet(folder / "items.parquet", index=False)
    evaluation.write_baselines(folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | dict(zip(FACTS, (1, DATASET, "tiny", "0" * 64), strict=True))
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def ranked(dataset: Path, seed: int, protocol: Protocol = evaluation.DEFAULT) -> pd.DataFrame:
    """Random scores, ranked for the users of test; some items are not retrieved, so that lists are short."""
    users = users_to_rank(dataset, "test", protocol=protocol)
    scores = np.random.default_rng(seed).random((len(users), 40), np.float32)
    scores[:, ::3] = -np.inf
    return evaluation.describe(rank_users(users, 40, lambda places: scores[places], protocol), facts_of(catalogue(dataset), 60))


def store(workspace: Path, run_id: str, found: pd.DataFrame) -> None:
    folder = workspace / "runs" / run_id / "results"
    folder.mkdir(parents=True)
    write_ranked(found, folder / "per_user.parquet", folder / "top_k.parquet")


@pytest.mark.parametrize("k", [1, 3, 10, 37, 100])
def test_lists_give_at_any_k_what_ranking_again_would(dataset: Path, workspace: Path, k: int) -> None:
    found, users = ranked(dataset, 1), users_to_rank(dataset, "test")
    store(workspace, "a", found)
    known = compare.list_facts(DATASET)
    assert known
    ours = lists_at_k.of_run("a", Protocol(), known, k)
    assert ours
    hits = np.array(
        [[at < len(rows) and rows[at] in wanted for at in range(k)] for rows, wanted in zip(found["items"], users["relevant"], strict=True)]
    )
    counts = found["relevant"].to_numpy()
    wanted = ranking_metrics(hits, counts, [f"{name}_at_{k}" for name in RANKING_NAMES])
    wanted |= list_metrics(padded(found["items"], k), facts_of(catalogue(dataset), 60), k)
    assert set(ours.per_user) == {"user_id", *wanted}
    for key, values in wanted.items():
        np.testing.assert_allclose(ours.per_user[key], values, err_msg=key)
        if np.isfinite(values).any():
            assert ours.values[key] == pytest.approx(np.nanmean(values))
    assert ours.values[f"coverage_at_{k}"] == len({row for rows in found["items"] for row in rows[:k]}) / 40
    if k == 10:
        whole = summarise(found, 40)
        assert ours.values == pytest.approx({key: value for key, value in whole.items() if key in ours.values})
        assert {f"{name}_at_10" for name in LIST_NAMES} <= ours.values.keys()


def test_lists_of_a_protocol_of_its_own_bring_what_is_relevant(dataset: Path, workspace: Path) -> None:
    protocol = Protocol(exclude_seen=False, list_length=10)
    found = ranked(dataset, 2, protocol)
    found["wanted"] = [np.array([1, 2, 3])] * len(found)  # other than the dataset says
    store(workspace, "a", found)
    known = compare.list_facts(DATASET)
    assert known
    ours = lists_at_k.of_run("a", protocol, known, 5)
    assert ours
    expected = [len({1, 2, 3} & set(rows[:5])) / 3 for rows in found["items"]]
    np.testing.assert_allclose(ours.per_user["recall_at_5"], expected)
    assert lists_at_k.of_run("a", protocol, known, 11) is None  # no longer lists were kept


def test_baselines_are_measured_where_their_lists_are_there(dataset: Path) -> None:
    known = compare.list_facts(DATASET)
    assert known
    stored = json.loads((dataset / "baselines" / "popularity.json").read_text())
    found = lists_at_k.of_baseline("popularity", known, 10)
    assert found
    assert {key: stored[key] for key in found.values} == pytest.approx(found.values)
    (dataset / "baselines" / "popularity_top_k.parquet").unlink()  # as prepared before they were kept
    assert lists_at_k.of_baseline("popularity", known, 10) is None
    assert lists_at_k.of_baseline("oracle", known, 10) is None


def test_without_a_dataset_or_a_ranking_nothing_is_known(workspace: Path, dataset: Path) -> None:
    assert compare.list_facts("gone-0123456789ab") is None
    known = compare.list_facts(DATASET)
    assert known
    assert lists_at_k.of_run("nobody", Protocol(), known, 10) is None
    for k in (0, -1, 101):
        with pytest.raises(ValueError, match=f"k is {k}; choose 1 to 100"):
            lists_at_k.checked(k)


def test_a_comparison_at_k_has_the_metrics_of_lists_at_k_and_the_others_as_they_are() -> None:
    assert lists_at_k.keys_at(10) == list(METRICS)
    keys = lists_at_k.keys_at(5)
    assert keys[:6] == ["ndcg_at_5", "recall_at_5", "precision_at_5", "map_at_5", "hit_rate_at_5", "mrr"]
    assert keys[6:11] == [f"{name}_at_5" for name in LIST_NAMES]
    assert keys[11:] == [key for key, metric in METRICS.items() if metric.family not in ("ranking", "lists")]


@pytest.fixture
def trained(dataset: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """Two runs with their folders; the older was trained before its metrics of lists were measured."""
    frames, known, ends = {}, {}, {}
    for seed, run_id in enumerate(("new", "old")):
        found = ranked(dataset, seed)
        values: dict[str, Any] = summarise(found, 40) | {"auc": 0.6 + seed / 10}
        if run_id == "old":
            before = ["user_id", "relevant", "ndcg_at_10", "ndcg_at_20", "recall_at_10", "recall_at_20", "recall_at_100", "mrr"]
            values = {key: value for key, value in values.items() if key in (*before, "coverage_at_10", "auc")}
            found = found[[*before, "items", "scores"]]
        store(workspace, run_id, found)
        spec = engine.specs.RunSpec.model_validate({"dataset": DATASET, "model": {"kind": "ease", "l2": 10 + seed}})
        known[run_id] = run(run_id, "ease", spec=spec.model_dump(mode="json"), title=run_id, metrics=values, dataset=DATASET)
        ends[run_id], frames[run_id] = {"metrics": values}, ranked(dataset, seed)
    for place in (runs, read):
        monkeypatch.setattr(place, "get_run", known.__getitem__)
    monkeypatch.setattr(runs, "done", ends.__getitem__)
    return frames


def test_a_run_of_before_gets_what_is_measured_now(trained: dict[str, pd.DataFrame]) -> None:
    table = engine.compare.compare(["new", "old"]).table.set_index(["metric", "contender"])
    wanted = summarise(trained["old"], 40)
    assert len(wanted) > 12
    for key, value in wanted.items():
        assert table.loc[(key, "B"), "value"] == pytest.approx(value), key
        assert np.isfinite(table.loc[(key, "B"), "low"]) == METRICS[key].per_user, key
    assert np.isnan(table.loc[("novelty_at_10", "pop"), "delta"])  # what deltas are taken from
    assert np.isfinite(table.loc[("novelty_at_10", "A"), "delta"])
    assert not table.loc["gini_at_10", "best"].any()


def test_runs_and_baselines_are_compared_at_another_k(trained: dict[str, pd.DataFrame], dataset: Path) -> None:
    found = engine.compare.compare(["new", "old"], k=5)
    table = found.table.set_index(["metric", "contender"])
    assert found.k == 5
    assert list(dict.fromkeys(found.table["metric"])) == lists_at_k.keys_at(5)
    users = users_to_rank(dataset, "test")
    recall = [
        len(set(rows[:5]) & set(wanted)) / len(wanted) for rows, wanted in zip(trained["old"]["items"], users["relevant"], strict=True)
    ]
    assert table.loc[("recall_at_5", "B"), "value"] == pytest.approx(np.mean(recall))
    assert table.loc[("recall_at_5", "B"), "low"] < np.mean(recall) < table.loc[("recall_at_5", "B"), "high"]
    assert table.loc[("auc", "B"), "value"] == 0.7
    assert table.loc[("mrr", "A"), "value"] == pytest.approx(trained["new"]["mrr"].mean())
    for key in ("recall_at_5", "gini_at_5"):
        assert np.isfinite(table.loc[(key, "pop"), "value"]) and np.isfinite(table.loc[(key, "rnd"), "value"])
        assert table.loc[(key, "A"), "delta"] == pytest.approx(table.loc[(key, "A"), "value"] - table.loc[(key, "pop"), "value"])
    assert {engine.specs.metric(key).family for key in found.table["metric"]} >= {"ranking", "lists", "pointwise"}
    with pytest.raises(ValueError, match="k is 0"):
        engine.compare.compare(["new"], k=0)


def calls(work: Callable[[], object]) -> int:
    """How many functions of Python are called meanwhile."""
    seen = Counter[str]()
    sys.setprofile(lambda frame, event, argument: seen.update([event]))
    try:
        assert work()
    finally:
        sys.setprofile(None)
    return seen["call"]


@pytest.mark.parametrize("k", (5, 100))
def test_all_lists_are_measured_at_once_and_not_one_by_one(dataset: Path, tmp_path: Path, k: int) -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"genre {n}" for n in range(20)])
    items = pd.DataFrame({"train_positives": rng.integers(0, 500, 4000), "row": np.arange(1, 4001)})
    items["genres"] = ["|".join(rng.choice(names, size, replace=False)) for size in rng.integers(1, 5, 4000)]
    (tmp_path / "baselines").mkdir()
    called = []
    for num_users in (200, 1000):
        users = pd.Series([rng.choice(4000, 20, replace=False) + 1 for _ in range(num_users)], [str(n) for n in range(num_users)])
        known = lists_at_k.ListFacts(tmp_path, facts_of(items, 6000), users)
        rows = [rng.choice(4000, 100, replace=False).astype(np.int32) + 1 for _ in range(num_users)]
        frame = pd.DataFrame({"user_id": users.index, "items": rows, "scores": rows})
        frame.to_parquet(tmp_path / "baselines" / "random_top_k.parquet")
        lists_at_k.of_baseline("random", known, k)  # what is imported and cached at first is no work of lists
        called.append(calls(lambda known=known: lists_at_k.of_baseline("random", known, k)))
    assert called[1] < called[0] + 800, called  # not one call for each of 800 lists more


def test_another_target_is_read_from_the_stored_lists_as_if_it_had_been_measured(trained: dict[str, pd.DataFrame], dataset: Path) -> None:
    for target in ("next", "last"):
        wanted = ranked(dataset, 0, Protocol(target=target))
        found = engine.compare.compare(["new", "old"], target=target)
        table = found.table.set_index(["metric", "contender"])
        assert found.target == target
        for key in ("ndcg_at_10", "recall_at_10", "hit_rate_at_10"):
            assert table.loc[(key, "A"), "value"] == pytest.approx(wanted[key].mean()), key
            assert np.isfinite(table.loc[(key, "pop"), "value"])
        assert np.isnan(table.loc[("mrr", "A"), "value"]), "the stored lists are cut"
        assert table.loc[("auc", "B"), "value"] == 0.7
        (pair,) = [pair for pair in engine.compare.pairs(found, "ndcg_at_10") if {pair.a, pair.b} == {"A", "B"}]
        other = ranked(dataset, 1, Protocol(target=target))
        sign = 1 if pair.a == "A" else -1
        assert pair.difference == pytest.approx(sign * (wanted["ndcg_at_10"].mean() - other["ndcg_at_10"].mean()))


def test_a_dataset_without_times_is_compared_by_all_later_likes_alone(trained: dict[str, pd.DataFrame], dataset: Path) -> None:
    path = dataset / "ranking" / "test.parquet"
    pd.read_parquet(path).drop(columns=["next", "last"]).to_parquet(path, index=False)
    lists_at_k._list_facts.cache_clear()
    assert lists_at_k.targets_of(DATASET) == ["later"]
    assert engine.compare.compare(["new", "old"]).target == "later"
    with pytest.raises(ValueError, match="cannot be compared by the next item"):
        engine.compare.compare(["new", "old"], target="next")


def test_the_verdict_says_where_another_question_has_another_winner(
    trained: dict[str, pd.DataFrame], dataset: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run lists the later likes but the next one, the other the next one alone."""
    path = dataset / "ranking" / "test.parquet"
    users = pd.read_parquet(path)
    later = [np.setdiff1d(np.arange(1, 41), seen)[:3].astype(np.int32) for seen in users["seen"]]
    users = users.assign(relevant=later, next=[own[0] for own in later], last=[own[2] for own in later])
    users.to_parquet(path, index=False)
    lists_at_k._list_facts.cache_clear()
    get_run = engine.runs.get_run
    for place in (runs, read):  # metrics of lists are those of the lists below
        monkeypatch.setattr(place, "get_run", lambda run_id: get_run(run_id).model_copy(update={"metrics": {"auc": 0.6}}))
    for run_id, items in (("new", [own[1:] for own in later]), ("old", [own[:1] for own in later])):
        results = workspace / "runs" / run_id / "results"
        scores = [np.arange(len(own), 0, -1, dtype=np.float32) for own in items]
        pd.DataFrame({"user_id": users["user_id"], "items": items, "scores": scores}).to_parquet(results / "top_k.parquet")
        pd.DataFrame({"user_id": users["user_id"]}).to_parquet(results / "per_user.parquet")
    found = engine.compare.compare(["new", "old"])
    verdict = engine.compare.verdict_of(found)
    assert verdict.metrics["ndcg_at_10"].run == "A"
    assert {(flip.target, flip.leader, flip.usual) for flip in verdict.flips} >= {("next", "B", "A")}
    said = " ".join(engine.compare.plain(sentence) for sentence in engine.compare.sentences(found))
    assert "The question decides: asked for the next item instead of all later likes, B" in said
