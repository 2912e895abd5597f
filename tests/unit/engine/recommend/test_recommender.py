"""Live recommendations for somebody new, of models whose answers are known: no run is opened."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from engine import datasets
from engine.recommend.explanations import ADDED, COSINE, FOLLOWED, FOLLOWS, LEFT_OUT, NEAREST, WEIGHED, reasons
from engine.recommend.recommender import Recommender
from engine.recommend.search import Filter
from workers.batches.likes import Likes
from workers.matrices.ease import EASE
from workers.matrices.item_knn import ItemKNN
from workers.matrices.markov_chain import MarkovChain
from workers.matrices.popularity import Popularity
from workers.models import MODELS
from workers.serving import OpenedFunnel, OpenedMatrix, OpenedModel, OpenedNetwork, UserItems, newcomer
from workers.specs.schema import Categorical, Dense, FeatureSchema

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


def recommender(opened: OpenedModel) -> Recommender:
    return Recommender(SimpleNamespace(id="d", path=Path("d"), schema=SCHEMA, known_at_test=("train", "valid")), opened)


def ease() -> EASE:
    model = EASE(1.0)
    model.load({"weights": np.random.default_rng(3).normal(0, 1, (N, N)).astype(np.float32)})
    return model


def network(kind: str, history: bool) -> OpenedNetwork:
    torch.manual_seed(1)
    settings = {} if MODELS[kind].reads_order else {"history": history}
    return OpenedNetwork(ITEMS, MODELS[kind](**settings).build(SCHEMA), SCHEMA)


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


def test_filters_come_before_the_first_k():
    model, asked = ease(), recommender(OpenedMatrix(ITEMS.assign(genres=["A|B", "B", "A"] * (N // 3)), ease()))
    scores = model.weights[1].copy()
    scores[1] = -np.inf
    best = [place for place in np.argsort(-scores) if place % 3 != 1 and N - place >= 4][:3]
    top = asked.recommend_new(["i2"], k=3, only=Filter(genres=("A",), least_likes=4))
    assert top["item_id"].tolist() == [f"i{place + 1}" for place in best]
    assert top["rank"].tolist() == [1, 2, 3]
    assert asked.recommend_new(["i2"], k=3, only=Filter(genres=("C",))).empty


@pytest.mark.fault("F54")
def test_an_unknown_item_is_named():
    with pytest.raises(LookupError, match="nothing"):
        recommender(OpenedMatrix(ITEMS, ease())).recommend_new(["i1", "nothing"])


@pytest.mark.parametrize("kind", ["two_tower", "dlrm", "deepfm"])
@pytest.mark.parametrize("history", [True, False])
def test_networks_tell_newcomers_apart_by_their_history_alone(kind, history):
    assert recommender(network(kind, history)).tells_newcomers_apart == history


def test_a_model_that_reads_order_has_a_list_for_the_order_in_which_somebody_new_likes() -> None:
    one = recommender(network("sasrec", True))
    assert one.tells_newcomers_apart
    first, second = (one.scores_of_new(liked) for liked in (["i2", "i7", "i11"], ["i11", "i7", "i2"]))
    assert not np.allclose(first, second)
    why = one.why_new(["i2", "i7"], ["i3"])
    assert why.because[0]
    queries, scores = one.opened.queries(one.opened.people(*person(one, ["i2", "i7"]))), one.scores_of_new(["i2", "i7"])
    known = np.isfinite(scores)  # what was picked is left out
    np.testing.assert_allclose((queries @ one.opened.vectors.T)[0, known], scores[known], rtol=1e-4, atol=1e-5)


def person(one: Recommender, liked: list[str]) -> tuple[pd.DataFrame, list[UserItems]]:
    row, items = one.newcomer(liked)
    return row, [items]


def test_popularity_tells_nobody_apart_and_a_fold_in_does():
    popular = Popularity()
    popular.load({"counts": np.arange(N, dtype=np.float32)})
    assert not recommender(OpenedMatrix(ITEMS, popular)).tells_newcomers_apart
    assert recommender(OpenedMatrix(ITEMS, ease())).tells_newcomers_apart


LIKED = ["i2", "i7", "i11"]


def knn() -> ItemKNN:
    weights = np.random.default_rng(5).random((N, N)).astype(np.float32) * (np.random.default_rng(6).random((N, N)) < 0.4)
    model = ItemKNN(N, "cosine")
    model.nearest = csr_matrix(weights)
    return model


@pytest.mark.parametrize("made", [ease, knn])
def test_the_likes_that_add_most_to_a_score_are_the_reason(made):
    model, asked = made(), [f"i{n}" for n in range(1, N + 1)]
    why = recommender(OpenedMatrix(ITEMS, model)).why_new(LIKED, asked)
    whole = model.scores(csr_matrix(np.isin(ITEMS["item_id"], LIKED).astype(np.float32)[None]))[0]
    for place, found in enumerate(why.because):
        gains = {}
        for item in LIKED:  # a like adds what the score loses without it
            rest = np.isin(ITEMS["item_id"], [other for other in LIKED if other != item]).astype(np.float32)
            gains[item] = whole[place] - model.scores(csr_matrix(rest[None]))[0, place]
        best = sorted((item for item in LIKED if gains[item] > 1e-6 and item != asked[place]), key=lambda item: -gains[item])[:2]
        assert found == ["Film " + item[1:] for item in best]
    assert why.method == ADDED


def chain() -> MarkovChain:
    """Everybody likes the items round a cycle."""
    places, starts = (np.add.outer(np.arange(N), np.arange(7)) % N).ravel(), np.arange(N + 1) * 7
    model = MarkovChain(window=2, decay=0.5, half_life=0.5, smoothing=1.0)
    model.fit(Likes(csr_matrix((np.ones(7 * N, np.float32), places, starts), (N, N)), np.bincount(places)))
    return model


def test_somebody_new_gets_what_follows_the_last_pick_and_that_is_the_reason():
    asked = recommender(OpenedMatrix(ITEMS, chain()))
    assert asked.tells_newcomers_apart
    for liked, expected in ((["i2", "i7"], ["i8", "i9", "i3"]), (["i7", "i2"], ["i3", "i4", "i8"])):
        top = asked.recommend_new(liked, k=3)
        assert top["item_id"].tolist() == expected
        why = asked.why_new(liked, expected)
        last, first = (f"Film {item[1:]}" for item in reversed(liked))
        assert why.because == [[last], [last], [first]]
        assert why.method == FOLLOWED
    similar, method = asked.similar("i5", k=5)
    assert (similar["item_id"].tolist(), method) == (["i6", "i7"], FOLLOWS)


def test_the_nearest_likes_are_the_reason_of_a_tower():
    opened = network("two_tower", True)
    vectors = opened.vectors[:, :-1].astype(np.float64)  # the last is the item's bias
    cosine = np.array([[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in vectors] for a in vectors])
    why = recommender(opened).why_new(LIKED, ["i1", "i2"])
    for item, found in zip((0, 1), why.because, strict=True):
        near = sorted((place for place in (1, 6, 10) if place != item and cosine[place, item] > 0), key=lambda place: -cosine[place, item])
        assert found == [f"Film {place + 1}" for place in near[:2]]
    assert why.method == NEAREST


def test_a_ranker_says_what_its_history_adds():
    opened = network("dlrm", True)
    asked = recommender(opened)
    why = asked.why_new(LIKED, ["i1", "i5"])
    gain = (asked.scores_of_new(LIKED) - asked.scores_of_new([]))[[0, 4]]
    assert [list(parts) for parts in why.parts] == [["history"]] * 2  # there are no features of users or items here
    assert np.allclose([parts["history"] for parts in why.parts], gain)
    assert why.method == LEFT_OUT
    assert recommender(network("dlrm", False)).why_new(LIKED, ["i1"]).parts == [{}]


def test_a_funnel_has_the_reasons_of_its_ranker():
    ranker, places = network("dlrm", True), np.array([0, 4])
    met = UserItems(np.array([1]), np.ones(1, np.float32), np.array([1]))
    row = newcomer(SCHEMA, [2])
    alone = reasons(ranker, SCHEMA, row, met, places)
    funnel = reasons(OpenedFunnel(OpenedMatrix(ITEMS, ease()), ranker, None, 5), SCHEMA, row, met, places)
    assert funnel.parts == alone.parts
    assert funnel.method.endswith(alone.method) and funnel.method != alone.method


def test_popularity_and_somebody_without_likes_have_no_reason():
    popular = Popularity()
    popular.load({"counts": np.arange(N, dtype=np.float32)})
    assert recommender(OpenedMatrix(ITEMS, popular)).why_new(LIKED, ["i1"]) == ("", [], [])
    assert recommender(OpenedMatrix(ITEMS, ease())).why_new([], ["i1"]).because == [[]]
    assert recommender(OpenedMatrix(ITEMS, ease())).why_new(LIKED, []).because == []


def test_items_alike_are_those_of_the_greatest_cosine():
    opened = network("two_tower", True)
    found, method = recommender(opened).similar("i3", k=N)
    vectors = opened.vectors[:, :-1].astype(np.float64)
    cosine = np.array([vectors[2] @ one / np.linalg.norm(vectors[2]) / np.linalg.norm(one) for one in vectors])
    assert found["item_id"].tolist() == [f"i{place + 1}" for place in np.argsort(-cosine) if place != 2]
    assert np.allclose(found["score"], np.sort(np.delete(cosine, 2))[::-1], atol=1e-6)
    assert method == COSINE


@pytest.mark.parametrize("made", [ease, knn])
def test_items_alike_are_those_that_a_like_speaks_for(made):
    model = made()
    found, method = recommender(OpenedMatrix(ITEMS, model)).similar("i3", k=N)
    only = (np.arange(N) == 2).astype(np.float32)
    scores = model.scores(csr_matrix(only[None]))[0]  # of somebody who likes nothing else
    assert found["item_id"].tolist() == [f"i{place + 1}" for place in np.argsort(-scores) if place != 2 and scores[place] > 0]
    assert method == WEIGHED


def test_items_alike_pass_the_filters_and_a_funnel_has_its_retrievers():
    alone, ranker = OpenedMatrix(ITEMS, ease()), network("dlrm", True)
    expected = recommender(alone).similar("i3", k=4, only=Filter(least_likes=6))[0]
    assert (expected["train_positives"] >= 6).all() and len(expected)
    funnel = recommender(OpenedFunnel(alone, ranker, None, 5))
    assert funnel.similar("i3", k=4, only=Filter(least_likes=6))[0].equals(expected)


def test_a_ranker_and_an_unknown_item_have_no_items_alike():
    with pytest.raises(ValueError, match="neither vectors nor weights"):
        recommender(network("dlrm", True)).similar("i3")
    with pytest.raises(LookupError, match="nothing"):
        recommender(OpenedMatrix(ITEMS, ease())).similar("nothing")


def test_a_user_is_read_once_for_all_contenders(monkeypatch, tmp_path):
    read: list[str] = []
    split = ["train", "train", "test", "test", "valid"]
    met = pd.DataFrame({"item_id": ["i1", "gone", "i2", "i3", "i4"], "label": [1, 1, 1, 0, 1], "split": split, "weight": 1.0})

    def of(name, value):
        monkeypatch.setattr(datasets, name, lambda dataset, user: read.append(name) or value)

    of("user_row", newcomer(SCHEMA, [1]).assign(row=1))
    of("user_interactions", met)
    both = [
        Recommender(SimpleNamespace(id="d", path=tmp_path, schema=SCHEMA, known_at_test=("train", "valid")), OpenedMatrix(ITEMS, made()))
        for made in (ease, knn)
    ]
    tops = [one.recommend("u", k=N) for one in both]
    assert sorted(read) == ["user_interactions", "user_row"]
    for top in tops:
        assert not {"i1", "i4"} & set(top["item_id"]), "what train and validation hold is known before test"
        assert set(top.loc[top["liked"], "item_id"]) == {"i2"}  # not what was not liked
    again = both[0].recommend("u", k=N, exclude_seen=False)
    assert set(again.loc[again["seen"], "item_id"]) == {"i1", "i4"}


def test_features_left_out_are_those_of_somebody_and_something_unknown():
    schema = FeatureSchema(
        categorical=(
            *SCHEMA.categorical,
            Categorical(name="job", side="user", num_rows=4, vocabulary="job"),
            Categorical(name="genres", side="item", num_rows=4, multi_valued=True, vocabulary="genres"),
        ),
        dense=(Dense(name="year", side="item", mean=0.0, std=1.0), Dense(name="age", side="user", mean=0.0, std=1.0)),
    )
    torch.manual_seed(2)
    model = MODELS["dlrm"](history=True).build(schema)
    genres = [np.array([1 + n % 3], np.int32) for n in range(N)]
    items = ITEMS.assign(**{"feature.genres": genres, "feature.year": np.linspace(-1, 1, N)})
    none = items.assign(**{"feature.genres": [np.zeros(0, np.int32)] * N, "feature.year": 0.0})
    opened, bare = OpenedNetwork(items, model, schema), OpenedNetwork(none, model, schema)
    stranger, met = newcomer(schema, [3, 5]), UserItems(np.array([2, 4]), np.ones(2, np.float32), np.array([2, 4]))
    known = stranger.assign(**{"feature.user_id": 4, "feature.job": 2, "feature.age": 1.5})
    alone = known.assign(**{"feature.history": [np.zeros(0, np.int32)]})

    def scores(by, row):
        return by.scores(by.people(row, [met])[0])[[0, 7]]

    found = reasons(opened, schema, known, met, np.array([0, 7])).parts
    whole = scores(opened, known)
    lost = {"history": scores(opened, alone), "user": scores(opened, stranger), "item": scores(bare, known)}
    assert [list(parts) for parts in found] == [list(lost)] * 2
    for name, without in lost.items():
        assert np.allclose([parts[name] for parts in found], whole - without, atol=1e-6)
    assert [list(parts) for parts in reasons(bare, schema, stranger, met, np.array([0])).parts] == [["history"]]
