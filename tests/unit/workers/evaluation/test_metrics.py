"""Every formula against an independent implementation, on random inputs with ties, empty relevance and short lists."""

import numpy as np
import pandas as pd
import pytest
from ranx import Qrels, Run, evaluate
from sklearn.metrics import log_loss as sk_log_loss
from sklearn.metrics import roc_auc_score

from workers.artifacts.results import METRICS, RANKING_NAMES, cutoff, metric
from workers.evaluation import metrics
from workers.evaluation.clustered import area, area_per_user, standard_error
from workers.evaluation.evaluate import pointwise, summarise
from workers.evaluation.lists import RANKING_AT
from workers.evaluation.ranking import rank_users

SEEDS = range(5)


def sample(seed: int, users: int = 30, items: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-5, 5, (users, items)).astype(np.float32)  # many ties, negatives and zeros
    scores[rng.random(scores.shape) < 0.1] = -0.0
    return scores, rng.random(scores.shape) < 0.08, metrics.tie_order(items, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_order_is_by_score_and_then_by_the_tie_order(seed):
    scores, _, ties = sample(seed)
    keys = metrics.sort_keys(scores, ties)
    for row, key in zip(scores, keys, strict=True):
        assert list(np.argsort(-key)) == list(np.lexsort((-ties, -(row + 0.0))))
    assert (metrics.top_items(keys, 7) == np.argsort(-keys, axis=1)[:, :7]).all()


def test_equal_scores_do_not_reward_item_order():
    """A constant model is no better on the first items than on the last."""
    ties = metrics.tie_order(1000, 3)
    top = metrics.top_items(metrics.sort_keys(np.zeros((1, 1000), np.float32), ties), 100)
    assert 350 < top.mean() < 650


def first_hits(keys, relevant):
    """Rank (from 1) of the best relevant item of each row, by sorting whole rows; 0 where nothing is relevant."""
    ordered = np.take_along_axis(relevant, np.argsort(-keys, axis=1), axis=1)
    return np.where(relevant.any(axis=1), ordered.argmax(axis=1) + 1, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_ranking_metrics_match_ranx(seed):
    scores, relevant, ties = sample(seed)
    relevant[0] = False  # a user with nothing relevant
    keys = metrics.sort_keys(scores, ties)
    top, counts = metrics.top_items(keys, 20), relevant.sum(axis=1)
    hits = np.take_along_axis(relevant, top, axis=1)
    have = np.flatnonzero(counts)
    # ranx is given our order as strictly falling scores: it must judge the same lists
    run = Run({f"u{u}": {f"i{i}": float(-place) for place, i in enumerate(np.argsort(-keys[u]))} for u in have})
    qrels = Qrels({f"u{u}": {f"i{i}": 1 for i in np.flatnonzero(relevant[u])} for u in have})
    formulas = {
        "recall": metrics.recall_at_k,
        "ndcg": metrics.ndcg_at_k,
        "precision": metrics.precision_at_k,
        "hit_rate": metrics.hit_rate_at_k,
        "map": lambda *given: metrics.average_precision_at_k(*given) * np.minimum(counts, given[2]) / np.maximum(counts, 1),
    }  # ranx divides MAP@k by all relevant items, we by as many as can stand in a list
    names = [f"{name}@{k}" for name in formulas for k in (1, 3, 10, 20)]
    theirs = evaluate(qrels, run, [*names, "mrr"], return_mean=False)
    ours = {f"{name}@{k}": formula(hits, counts, k) for name, formula in formulas.items() for k in (1, 3, 10, 20)}
    ours["mrr"] = metrics.reciprocal_rank(first_hits(keys, relevant), counts)
    for name, values in ours.items():
        assert np.isnan(values[counts == 0]).all()
        np.testing.assert_allclose(sorted(values[have]), sorted(theirs[name]), atol=1e-9, err_msg=name)


def test_a_list_shorter_than_k_counts_as_missed():
    hits, counts = np.array([[True, False]]), np.array([3])
    assert metrics.recall_at_k(hits, counts, 10) == pytest.approx(1 / 3)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert metrics.ndcg_at_k(hits, counts, 10) == pytest.approx(1 / ideal)


@pytest.mark.parametrize("seed", SEEDS)
def test_average_precision_is_that_of_a_naive_loop(seed):
    rng = np.random.default_rng(seed)
    hits, counts = rng.random((40, 12)) < 0.3, rng.integers(0, 20, 40)
    counts = np.where(counts > 0, np.maximum(counts, hits.sum(axis=1)), 0)
    for k in (1, 5, 12, 30):
        found = metrics.average_precision_at_k(hits, counts, k)
        for user in range(40):
            places = [place for place, hit in enumerate(hits[user][:k], 1) if hit]
            precisions = [sum(other <= place for other in places) / place for place in places]
            wanted = sum(precisions) / min(counts[user], k) if counts[user] else np.nan
            np.testing.assert_allclose(found[user], wanted)
    assert metrics.average_precision_at_k(np.ones((1, 5), bool), np.array([50]), 5) == 1  # a perfect list, whatever is left


def test_an_item_that_was_left_out_is_never_found():
    """Of four items, two are not retrieved: a relevant one among those is missed, not found behind the others."""
    scores = np.array([[2, 1, -np.inf, -np.inf]] * 4, np.float32)
    relevant = np.array([[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1]], bool)
    np.testing.assert_array_equal(metrics.reciprocal_rank(np.array([0, 2, 0, 0]), relevant.sum(axis=1)), [0, 0.5, np.nan, 0])
    users = pd.DataFrame({"user_id": list("abcd"), "seen": [[]] * 4, "relevant": [[3], [2, 3], [], [3, 4]]})
    ranked = rank_users(users, 4, lambda places: scores[places])
    np.testing.assert_array_equal(ranked["mrr"], [0, 0.5, np.nan, 0])
    np.testing.assert_array_equal(ranked["recall_at_100"], [0, 0.5, np.nan, 0])
    np.testing.assert_array_equal(ranked["hit_rate_at_10"], [0, 1, np.nan, 0])
    assert {len(items) for items in ranked["items"]} == {2}


def test_metrics_with_a_cutoff_are_known_at_any_k():
    assert metric("ndcg_at_10") is METRICS["ndcg_at_10"]
    five = metric("recall_at_5")
    assert (five.key, five.label, five.family) == ("recall_at_5", "Recall@5", "ranking")
    assert "top 5" in five.description
    assert cutoff("hit_rate_at_7") == ("hit_rate", 7)
    for wrong in ("mrr_at_5", "ndcg_at_", "ndcg_at_0", "ndcg_at_-1", "ndcg", "auc_at_10", "ndcg_at_²"):
        assert cutoff(wrong) is None
        with pytest.raises(LookupError, match="There is no metric"):
            metric(wrong)
    assert set(RANKING_AT) == set(RANKING_NAMES)


@pytest.mark.parametrize("seed", SEEDS)
def test_auc_and_log_loss_match_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels, logits = (rng.random(300) < 0.3).astype(float), rng.integers(-6, 6, 300).astype(float)
    assert area(logits, labels, np.arange(300)).value == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)
    assert metrics.log_losses(logits, labels).mean() == pytest.approx(sk_log_loss(labels, 1 / (1 + np.exp(-logits))), abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_auc_per_user_is_scikit_learns_of_each_weighted_by_rows(seed):
    rng = np.random.default_rng(seed)
    users, labels = rng.integers(1, 40, 300), (rng.random(300) < 0.3).astype(float)
    scores = rng.integers(-3, 3, 300) + 0.5 * labels
    labels[users == 7] = 1  # a user who liked everything has no AUC
    found = [(roc_auc_score(labels[own], scores[own]), own.sum()) for own in (users == u for u in range(40)) if len(set(labels[own])) == 2]
    areas, rows = np.array(found).T
    one = area_per_user(scores, labels, users)
    assert one.value == pytest.approx(np.average(areas, weights=rows), abs=1e-12)
    shuffled = rng.permutation(300)
    again = area_per_user(scores[shuffled], labels[shuffled], users[shuffled])
    assert (again.value, again.users.tolist(), again.influence) == (
        pytest.approx(one.value), one.users.tolist(), pytest.approx(one.influence)
    )  # fmt: skip


def test_auc_per_user_knows_no_more_than_what_tells_a_users_items_apart():
    """Scores that only say which user likes much are worth something over all rows, and nothing within a user."""
    users = np.repeat([1, 2], 4)
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1.0])
    assert area_per_user(users.astype(float), labels, users).value == 0.5 < area(users.astype(float), labels, np.arange(8)).value
    alone = area_per_user(labels[:4], labels[:4], users[:4])
    assert alone.value == 1 and np.isnan(standard_error(alone.influence))
    assert np.isnan(area_per_user(np.arange(2.0), np.ones(2), np.arange(2)).value)
    assert np.isnan(area_per_user(np.zeros(0), np.zeros(0), np.zeros(0, int)).value)


def test_standard_error_of_auc_per_user_is_that_of_repeated_samples():
    rng = np.random.default_rng(3)

    def draw() -> tuple[float, float]:
        users = np.repeat(np.arange(120), rng.integers(4, 30, 120))
        labels = (rng.random(len(users)) < 0.4).astype(float)
        skill = rng.normal(0.8, 0.8, 120)[users]  # users differ in how well they are known
        one = area_per_user(labels * skill + rng.normal(0, 1, len(users)), labels, users)
        return one.value, standard_error(one.influence)

    values, errors = np.array([draw() for _ in range(300)]).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.1)


def test_standard_error_of_auc_is_that_of_repeated_samples():
    rng = np.random.default_rng(1)
    labels = np.r_[np.ones(150), np.zeros(250)]
    drawn = [area(np.r_[rng.normal(0.7, 1, 150), rng.normal(0, 1, 250)], labels, np.arange(400)) for _ in range(400)]
    values, errors = np.array([(one.value, standard_error(one.influence)) for one in drawn]).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.1)


def test_one_class_and_no_rows_are_undefined_not_wrong():
    assert np.isnan(area(np.array([1.0, 2.0]), np.ones(2), np.arange(2)).value)
    assert np.isnan(area(np.zeros(0), np.zeros(0), np.zeros(0, np.int64)).value)
    assert metrics.log_losses(np.array([1000.0, -1000.0]), np.array([1.0, 0.0])).tolist() == [0, 0]  # no overflow


def test_the_errors_of_rows_are_those_of_a_draw_of_users():
    rng = np.random.default_rng(5)
    users = np.repeat(np.arange(1, 41), 10)
    scores, labels = rng.normal(size=400) + rng.normal(size=41)[users], (rng.random(400) < 0.4).astype(float)
    known = np.ones(400, bool)
    found = pointwise(scores, labels, known, probability=True, users=users)
    assert found["auc_se"] == standard_error(area(scores, labels, users).influence) == found["auc_all_se"]
    assert {"log_loss_se", "ne_se", "calibration_se", "ece_se", "user_auc_se"} <= found.keys()
    users[:20] = 0  # of users whom train does not know nobody can say which rows are of one
    strangers = pointwise(scores, labels, users > 0, probability=False, users=users)
    assert "auc_se" in strangers and "auc_all" in strangers and "auc_all_se" not in strangers


def test_auc_per_user_is_of_known_rows_and_absent_without_users():
    rng = np.random.default_rng(0)
    scores, labels, known, users = rng.normal(size=60), rng.integers(0, 2, 60), rng.random(60) < 0.7, rng.integers(0, 6, 60)
    found = pointwise(scores, labels, known, probability=False, users=users)
    some = known & (users > 0)
    assert found["user_auc"] == area_per_user(scores[some], labels[some].astype(float), users[some]).value
    for none in (None, np.zeros(60, int)):
        assert not {"user_auc", "user_auc_se"} & pointwise(scores, labels, known, probability=False, users=none).keys()


def test_a_diverged_model_is_an_error():
    with pytest.raises(ValueError, match="diverged"):
        metrics.sort_keys(np.array([[0.0, np.nan]], np.float32), np.arange(2))


def test_seen_items_are_never_listed_and_coverage_counts_distinct_items():
    users = pd.DataFrame({"user_id": ["a", "b"], "seen": [[1, 2], []], "relevant": [[3], [1, 4]]})
    scores = np.array([[9, 8, 1, 0], [4, 3, 2, 1]], np.float32)
    ranked = rank_users(users, 4, lambda places: scores[places])
    assert [list(items) for items in ranked["items"]] == [[3, 4], [1, 2, 3, 4]]
    assert list(ranked["recall_at_10"]) == [1, 1]
    assert list(ranked["mrr"]) == [1, 1]
    assert summarise(ranked, 8)["coverage_at_10"] == 0.5
