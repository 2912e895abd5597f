"""Items drawn from the catalogue: rows stay as they were, and candidates are whole items without a user."""

import numpy as np
import pytest
import torch

from tests.contracts.test_models import DENSE, ITEMS, SCHEMA, USERS
from workers.batches.batches import to_batch
from workers.batches.negatives import Sampler
from workers.networks.choice import proposal
from workers.specs.training import Sampling

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


def test_candidates_are_items_without_a_user():
    after = sampler(draw="uniform", candidates=30)(rows())
    assert after.sampled == 30
    assert len(after.label) == 33
    assert bags(after.sparse, "user_id")[3:] == bags(after.sparse, "history")[3:] == [[]] * 30
    items = [bag[0] for bag in bags(after.sparse, "item_id")[3:]]
    assert bags(after.sparse, "genres")[3:] == [GENRES[item - 1] for item in items]
    assert (after.weight[3:] == 0).all() and (after.label[3:] == 0).all()
    assert after.dense[3:, 1].tolist() == [10.0 * (item - 1) for item in items] and (after.dense[3:, 0] == 0).all()
    for name in after.sparse.keys():  # noqa: SIM118 - a KeyedJaggedTensor is no dict
        assert bags(after.sparse, name)[:3] == bags(rows().sparse, name)


def test_popularity_draws_by_likes_to_the_power_of_three_quarters():
    drawn = sampler([16.0, 1, 0, 0, 0, 0, 0], draw="popularity", candidates=1).draw(40_000)
    weights = np.array([16.0, 1, *[0.5] * 5]) ** 0.75
    assert np.bincount(drawn, minlength=N) / 40_000 == pytest.approx(weights / weights.sum(), abs=0.01)
    told = proposal("popularity", torch.tensor([16.0, 1, 0, 0, 0, 0, 0]))
    assert told.numpy() == pytest.approx(weights / weights.sum())
    assert proposal("uniform", torch.arange(4.0)).tolist() == [0.25] * 4


def test_the_same_seed_draws_the_same():
    assert torch.equal(sampler(draw="uniform", candidates=1).draw(100), sampler(draw="uniform", candidates=1).draw(100))
