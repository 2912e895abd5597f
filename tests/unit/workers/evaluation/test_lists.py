"""What recommended lists are like: every formula against a naive loop, or scipy, on random and degenerate lists."""

from collections import Counter
from itertools import combinations
from math import isnan, log2, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import percentileofscore

from tests import tiny
from workers.artifacts.results import LIST_NAMES, METRICS, metric
from workers.evaluation import metrics
from workers.evaluation.evaluate import count_users, describe, summarise
from workers.evaluation.lists import PER_LIST, all_lists_metrics, facts_of, list_metrics, padded

SEEDS = range(5)
NAMES = ["Comedy", "Drama", "Horror", "Sci-Fi", "Western"]


def world(seed: int, items: int = 40, users: int = 30) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """A catalogue, some of it without genres or likes, and lists of 0 to 12 of its rows."""
    rng = np.random.default_rng(seed)
    genres = ["|".join(rng.choice(NAMES, size, replace=False)) or None for size in rng.integers(0, 4, items)]
    frame = pd.DataFrame({"row": np.arange(1, items + 1), "train_positives": rng.integers(0, 9, items), "genres": genres})
    return frame, [rng.choice(np.arange(1, items + 1), size, replace=False) for size in rng.integers(0, 13, users)]


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else nan


def jaccard(one: str, other: str) -> float:
    a, b = set(one.split("|")), set(other.split("|"))
    return 1 - len(a & b) / len(a | b)


@pytest.mark.parametrize("k", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_metrics_of_lists_are_those_of_naive_loops(seed: int, k: int) -> None:
    items, lists = world(seed)
    found = list_metrics(padded(lists, 12), facts_of(items, num_users=10), k)
    likes, genres = items["train_positives"].tolist(), items["genres"].tolist()
    for user, rows in enumerate(lists):
        first = [row - 1 for row in rows[:k]]
        known = [genres[item] for item in first if genres[item]]
        wanted = {
            "novelty": mean([-log2(max(likes[item], 1) / 10) for item in first]),
            "diversity": mean([jaccard(a, b) for a, b in combinations(known, 2)]),
            "popularity": mean([percentileofscore(likes, likes[item], kind="mean") / 100 for item in first]),
        }
        for name in PER_LIST:
            np.testing.assert_allclose(found[f"{name}_at_{k}"][user], wanted[name], atol=1e-6, err_msg=f"{name} of {rows}")


@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("seed", SEEDS)
def test_coverage_and_gini_are_those_of_naive_loops(seed: int, k: int) -> None:
    items, lists = world(seed)
    found = all_lists_metrics(padded(lists, 12), len(items), k)
    times = Counter(row for rows in lists for row in rows[:k])
    shown = [times.get(row, 0) for row in items["row"]]
    apart = sum(abs(a - b) for a in shown for b in shown)  # Gini's mean difference: the other way to write the index
    assert found[f"coverage_at_{k}"] == len(times) / len(items)
    assert found[f"gini_at_{k}"] == pytest.approx(apart / (2 * len(shown) * sum(shown)) * len(shown) / (len(shown) - 1))


def test_gini_is_0_when_all_is_shown_alike_and_1_when_one_item_is() -> None:
    assert metrics.gini(np.array([[0, 1], [2, 3]]), 4) == 0
    assert metrics.gini(np.array([2, 2, 2]), 4) == 1
    assert isnan(metrics.gini(np.zeros(0, int), 4))
    assert isnan(metrics.gini(np.array([0]), 1))


def test_novelty_has_bounds_where_nobody_or_everybody_liked_an_item() -> None:
    assert metrics.self_information(np.array([0.0, 1, 4, 8, 20]), 8).tolist() == [3, 3, 1, 0, 0]  # likes may be more than users


def test_a_random_list_is_as_popular_as_the_catalogue_and_ties_are_shared() -> None:
    assert metrics.popularity_percentile(np.array([5.0, 0, 0, 9])).tolist() == [0.625, 0.25, 0.25, 0.875]
    assert metrics.popularity_percentile(np.random.default_rng(0).integers(0, 5, 99).astype(float)).mean() == pytest.approx(0.5)


def test_diversity_is_undefined_without_genres_and_for_a_lone_item() -> None:
    items = pd.DataFrame({"train_positives": [1, 1, 1, 1], "genres": ["A|B", None, "B|A|", "C"]})
    found = list_metrics(padded([[1], [1, 2], [1, 3], [1, 3, 4], []], 10), facts_of(items, 3), 10)["diversity_at_10"]
    np.testing.assert_allclose(found, [nan, nan, 0, 2 / 3, nan])
    without = list_metrics(padded([[1, 3]], 10), facts_of(items.drop(columns="genres"), 3), 10)
    assert np.isnan(without["diversity_at_10"]).all()


def test_very_many_genres_are_compared_in_parts() -> None:
    rng = np.random.default_rng(0)
    items = pd.DataFrame({"train_positives": 1, "genres": [f"t{n}|t{n + 1}|all" for n in range(3000)]})
    top = rng.permuted(np.tile(np.arange(3000), (150, 1)), axis=1)[:, :100]
    found = list_metrics(top, facts_of(items, 9), 100)["diversity_at_100"]
    for user in (0, 77, 149):
        wanted = mean([jaccard(items["genres"][a], items["genres"][b]) for a, b in combinations(top[user], 2)])
        assert found[user] == pytest.approx(wanted, abs=1e-6)


def test_what_lists_are_like_has_a_family_of_its_own_without_a_crown() -> None:
    ours = [one for one in METRICS.values() if one.family == "lists"]
    assert [one.key for one in ours] == [f"{name}_at_10" for name in LIST_NAMES]
    assert not any(one.crowned for one in ours)
    assert [one.key for one in ours if one.better == "lower"] == ["popularity_at_10", "gini_at_10"]
    assert not metric("coverage_at_3").per_user and metric("novelty_at_3").per_user


def test_undefined_means_are_absent_and_nobody_is_no_trouble() -> None:
    items = pd.DataFrame({"train_positives": [3, 2, 1], "genres": None})
    ranked = pd.DataFrame({"user_id": ["a"], "ndcg_at_10": [0.5], "items": [[1, 2]]})
    found = summarise(describe(ranked, facts_of(items, 4)), 3)
    assert found.keys() == {"ndcg_at_10", "coverage_at_10", "gini_at_10", "novelty_at_10", "popularity_at_10"}
    nobody = describe(pd.DataFrame({"user_id": [], "items": []}), facts_of(items, 4))
    assert summarise(nobody, 3) == {}


def test_users_of_train_are_counted_with_and_without_a_manifest(tmp_path: Path) -> None:
    tiny.write(tiny.groups(), tmp_path / "dataset")
    assert count_users(tmp_path / "dataset") == 60
    (tmp_path / "dataset" / "manifest.json").unlink()
    pd.DataFrame({"row": [1, 2, 3, 0, 0]}).to_parquet(tmp_path / "dataset" / "users.parquet")
    assert count_users(tmp_path / "dataset") == 3
