"""The loss of BPR against a loop over rows, and on planted groups: it ranks held-out items of a user's group above all others."""

import math

import numpy as np
import pytest
import torch

from tests import ranks, tiny
from tests.contracts.test_models import SCHEMA
from workers.batches.batches import to_batch
from workers.models import TwoTowerSpec
from workers.specs import BINARY

COLUMNS = {
    "user_id": np.array([1, 2, 3, 0, 0, 0]), "item_id": np.array([4, 5, 6, 7, 4, 2]),
    "history.values": np.array([1, 2, 5, 7]), "history.lengths": np.array([2, 1, 1, 0, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("masks", [True, False])
def test_each_like_is_set_against_one_drawn_item(masks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = TwoTowerSpec(objective="bpr", user_id=True, history_dropout=0.0, mask_history=masks, embedding_dim=8).build(SCHEMA, BINARY)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    given = to_batch(COLUMNS | {"label": np.array([1.0, 1, 1, 0, 0, 0])}, SCHEMA, 6)._replace(sampled=3)
    monkeypatch.setattr(torch, "randint", lambda high, size, device: torch.tensor([1, 2, 0]))  # items 4, 2 and 7
    loss, weight = network.loss(given)
    users, items = network.encode_users(given), network.encode_items(given)
    # the first row drew its own item, the third one of its history
    rows = [(1, 5)] if masks else [(1, 5), (2, 3)]
    expected = sum(math.log1p(math.exp(float(users[row] @ (items[drawn] - items[row])))) for row, drawn in rows) / 3
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(weight) == 3


@pytest.mark.slow
def test_bpr_learns_what_popularity_cannot(tmp_path) -> None:
    tiny.write(tiny.groups(users=120, items=60), tmp_path / "dataset")
    model = {"kind": "two_tower", "objective": "bpr", "user_id": True, "history": False, "embedding_dim": 16}
    train = {"epochs": 30, "batch_size": 64, "table_learning_rate": 0.3, "patience": None}
    done = ranks.train(tmp_path / "run", tmp_path / "dataset", {"model": model, "train": train}, processes=2)
    assert done["metrics"]["ndcg_at_10"] > 0.5
