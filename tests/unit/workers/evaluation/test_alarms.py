"""Each sign of a degenerate model is seen, and a sound model raises none."""

import numpy as np
import pandas as pd

from workers.evaluation.alarms import list_alarms

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
