"""Each sign of a degenerate model is seen, and a sound model raises none."""

import numpy as np
import pandas as pd
import pytest

from workers.artifacts import METRICS
from workers.evaluation.alarms import at_edge, cut_histories, few_users, list_alarms, still_rising

RNG = np.random.default_rng(0)


def ranked(lists):
    return pd.DataFrame({"items": lists, "ndcg_at_10": 0.2})


SOUND = {
    "logits": RNG.normal(0, 1, 200),
    "ranked": ranked([RNG.permutation(50)[:20] for _ in range(40)]),
    "item_states": RNG.normal(0, 1, (50, 8)) + 0.5,
    "losses": [0.7, 0.6, 0.61],
    "popularity": 0.1,
}


def said(**wrong):
    return " ".join(list_alarms(**(SOUND | wrong)))


def test_a_sound_model_raises_no_alarm_nor_does_one_that_cannot_rank():
    assert list_alarms(**SOUND) == []
    nothing = {"ranked": pd.DataFrame(), "item_states": np.zeros((0, 0)), "popularity": None, "losses": [0.5]}
    assert list_alarms(**(SOUND | nothing)) == []


def test_logits_of_one_sign_or_one_value():
    assert "≥ 0" in said(logits=np.abs(SOUND["logits"]))
    assert "same logit" in said(logits=np.full(10, -1.0))
    assert said(logits=-np.abs(SOUND["logits"])) == ""  # everything unlikely is what a rare click is


def test_one_list_for_most_users():
    same = [list(range(10))] * 25 + [list(RNG.permutation(50)) for _ in range(15)]
    assert "62% of the users get the same top 10" in said(ranked=ranked(same))


def test_collapsed_embeddings():
    assert "collapsed" in said(item_states=np.ones((50, 8)) + RNG.normal(0, 0.01, (50, 8)))
    assert "zero" in said(item_states=np.zeros((50, 8)))


def test_worse_than_popularity_and_a_flat_loss():
    assert "worse than popularity: NDCG@10 0.200 against 0.300" in said(popularity=0.3)
    assert "flat" in said(losses=[0.7, 0.7, 0.6999])
    assert "not finite" in said(losses=[0.7, float("nan")])


def test_validation_that_still_rises_asks_for_more_epochs():
    (said,) = still_rising("DLRM", METRICS["auc"], [0.797, 0.809, 0.813], 3)
    assert said.startswith("DLRM: validation AUC .797 .809 .813 was still rising when training stopped after its 3 epochs: train longer")
    assert "RMSE 1.200 .900 was still falling" in still_rising("DLRM", METRICS["rmse"], [-1.2, -0.9], 2)[0]
    for values in ([0.8], [], [0.797, 0.813, 0.809], [0.8, 0.8001], [0.7, float("nan")]):
        assert not still_rising("DLRM", METRICS["auc"], values, len(values))


def test_a_best_setting_at_the_edge_is_said():
    assert at_edge("EASE", {"model.l2": 3000.0}) == [
        "EASE: the best l2, 3000, is at an end of what the search tries: a better one may lie beyond. Widen its range."
    ]
    assert at_edge("EASE", {}) == []


def test_histories_that_are_cut_for_many_users_are_said():
    lengths = np.array([10] * 66 + [51] * 34)
    assert cut_histories(lengths, 50) == ["history 50 cuts the history of 34% of users: prepare the dataset with a longer one."]
    assert cut_histories(lengths, 51) == cut_histories(np.zeros(0), 50) == cut_histories(np.array([10] * 9 + [51]), 50) == []


@pytest.mark.fault("F56")
def test_few_users_to_rank_are_said_with_their_cause():
    cold = {"interactions": {"test": 10_000}, "cold_user_rows_test": 8582}
    (none,) = few_users(0, cold)
    assert none.startswith(
        "There are no ranking metrics, since no test user can be ranked for: 8,582 of 10,000 test rows are of users that"
    )
    assert "split per user" in none
    (few,) = few_users(12, {"interactions": {"test": 500}, "cold_user_rows_test": 3})
    assert few.startswith("Only 12 test users can be ranked for, so that models must differ by 0.14 in NDCG@10")
    assert "larger share" in few
    assert few_users(30, cold) == []
