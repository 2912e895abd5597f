"""Items drawn from the catalogue: rows stay whole, users stay theirs, and what a user likes is never a negative."""

import numpy as np
import pytest
import torch

from tests.unit.test_models import DENSE, ITEMS, SCHEMA, USERS
from workers.batches import to_batch
from workers.negatives import Sampler
from workers.specs import Sampling

N = 7
CATALOGUE = {
    "item_id": np.arange(1, N + 1), "genres.values": np.array([1, 2, 3, 4, 1, 2, 3, 4]), "genres.lengths": np.array([1, 0, 2, 1, 1, 2, 1]),
    "dense": np.stack([np.zeros(N), np.arange(N) * 10.0], 1).astype(np.float32),
}  # fmt: skip
GENRES = [[1], [], [2, 3], [4], [1], [2, 3], [4]]


def rows(label=(1, 0, 1), weight=(1, 1, 2)):
    return to_batch({**USERS, **ITEMS, "dense": DENSE, "label": np.array(label), "weight": np.array(weight)}, SCHEMA, 3)


def sampler(popularity=None, **wanted):
    liked = torch.ones(N) if popularity is None else torch.tensor(popularity)
    return Sampler(Sampling(**wanted), SCHEMA, CATALOGUE, liked, seed=1)


def bags(sparse, name):
    return [bag.tolist() for bag in torch.split(sparse[name].values(), sparse[name].lengths().tolist())]


def test_negatives_are_the_liked_rows_again_with_other_items():
    before, after = rows(), sampler(draw="uniform", per_liked_row=50)(rows())
    assert len(after.label) == len(after.weight) == len(after.dense) == after.sparse.stride() == 3 + 2 * 50
    assert after.label[3:].sum() == 0
    for name in after.sparse.keys():  # noqa: SIM118 - a KeyedJaggedTensor is no dict
        assert bags(after.sparse, name)[:3] == bags(before.sparse, name)
    owners = [0] * 50 + [2] * 50
    for name in ("user_id", "job", "history"):
        own = bags(before.sparse, name)
        assert bags(after.sparse, name)[3:] == [own[owner] for owner in owners]
    items = [bag[0] for bag in bags(after.sparse, "item_id")[3:]]
    assert set(items) == set(range(1, N + 1))
    assert bags(after.sparse, "genres")[3:] == [GENRES[item - 1] for item in items]
    assert after.dense[3:, 0].tolist() == [DENSE[owner, 0] for owner in owners]
    assert after.dense[3:, 1].tolist() == [10.0 * (item - 1) for item in items]


def test_what_the_user_likes_is_drawn_in_vain():
    after = sampler(draw="uniform", per_liked_row=200)(rows())
    items = np.array([bag[0] for bag in bags(after.sparse, "item_id")[3:]])
    own = np.repeat([0, 2], 200)
    liked = ((own == 0) & np.isin(items, [4, 1, 2])) | ((own == 2) & np.isin(items, [6, 5]))  # own item and history
    assert after.weight[3:].numpy() == pytest.approx(np.where(liked, 0, np.where(own == 0, 1, 2)))


def test_candidates_are_items_without_a_user():
    after = sampler(draw="uniform", candidates=30)(rows())
    assert after.sampled == 30
    assert len(after.label) == 33
    assert bags(after.sparse, "user_id")[3:] == bags(after.sparse, "history")[3:] == [[]] * 30
    items = [bag[0] for bag in bags(after.sparse, "item_id")[3:]]
    assert bags(after.sparse, "genres")[3:] == [GENRES[item - 1] for item in items]
    assert (after.weight[3:] == 0).all()


def test_nothing_liked_is_nothing_drawn():
    assert len(sampler(draw="uniform", per_liked_row=4)(rows(label=(0, 0, 0))).label) == 3


def test_popularity_draws_by_likes_to_the_power_of_three_quarters():
    drawn = sampler([16.0, 1, 0, 0, 0, 0, 0], draw="popularity", candidates=1).draw(40_000)
    weights = np.array([16.0, 1, *[0.5] * 5]) ** 0.75
    assert np.bincount(drawn, minlength=N) / 40_000 == pytest.approx(weights / weights.sum(), abs=0.01)


def test_the_same_seed_draws_the_same():
    assert torch.equal(sampler(draw="uniform", candidates=1).draw(100), sampler(draw="uniform", candidates=1).draw(100))
