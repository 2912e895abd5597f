"""Live recommendations for somebody new, of models whose answers are known: no run is opened."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from engine.recommender import Recommender
from workers.models import MODELS
from workers.modules.ease import EASE
from workers.modules.popularity import Popularity
from workers.opened import Opened, OpenedMatrix, OpenedNetwork
from workers.specs import Categorical, FeatureSchema

N = 12
SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=9, vocabulary="user_id"),
        Categorical(name="history", side="user", num_rows=N + 1, multi_valued=True, vocabulary="item_id"),
        Categorical(name="item_id", side="item", num_rows=N + 1, vocabulary="item_id"),
    )
)
ITEMS = pd.DataFrame(
    {
        "item_id": [f"i{n}" for n in range(1, N + 1)],
        "row": np.arange(1, N + 1),
        "title": [f"Film {n}" for n in range(1, N + 1)],
        "genres": None,
        "train_positives": np.arange(N, 0, -1),
        "feature.item_id": np.arange(1, N + 1),
    }
)


def recommender(opened: Opened) -> Recommender:
    return Recommender(SimpleNamespace(id="d", schema=SCHEMA), opened)


def ease() -> EASE:
    model = EASE(1.0)
    model.load({"weights": np.random.default_rng(3).normal(0, 1, (N, N)).astype(np.float32)})
    return model


def network(kind: str, history: bool) -> OpenedNetwork:
    torch.manual_seed(1)
    return OpenedNetwork(ITEMS, MODELS[kind](history=history).build(SCHEMA), SCHEMA)


def test_a_newcomer_gets_what_folding_in_gives_without_what_was_picked():
    model = ease()
    top = recommender(OpenedMatrix(ITEMS, model)).recommend_new(["i2", "i7"], k=4)
    scores = model.weights[1] + model.weights[6]
    scores[[1, 6]] = -np.inf
    assert top["item_id"].tolist() == [f"i{n + 1}" for n in np.argsort(-scores)[:4]]
    assert np.allclose(top["score"], np.sort(scores)[::-1][:4])
    assert not top["liked"].any()


def test_a_list_ends_where_the_catalogue_does():
    asked = recommender(OpenedMatrix(ITEMS, ease()))
    assert len(asked.recommend_new(["i1"], k=50)) == N - 1
    assert asked.recommend_new(ITEMS["item_id"].tolist(), k=50).empty


def test_an_unknown_item_is_named():
    with pytest.raises(LookupError, match="nothing"):
        recommender(OpenedMatrix(ITEMS, ease())).recommend_new(["i1", "nothing"])


@pytest.mark.parametrize("kind", ["two_tower", "dlrm", "deepfm"])
@pytest.mark.parametrize("history", [True, False])
def test_networks_tell_newcomers_apart_by_their_history_alone(kind, history):
    assert recommender(network(kind, history)).tells_newcomers_apart == history


def test_popularity_tells_nobody_apart_and_a_fold_in_does():
    popular = Popularity()
    popular.load({"counts": np.arange(N, dtype=np.float32)})
    assert not recommender(OpenedMatrix(ITEMS, popular)).tells_newcomers_apart
    assert recommender(OpenedMatrix(ITEMS, ease())).tells_newcomers_apart
