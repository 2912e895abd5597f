"""A history in order: where all likes weigh alike it is the mean, and newer ones can weigh more."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import ranks
from tests.contracts.test_models import ITEMS, SCHEMA
from workers.batches import to_batch
from workers.models import TwoTowerSpec
from workers.networks import TwoTower
from workers.networks.history import QUICK, OrderedHistory
from workers.specs import TrainSpec
from workers.training.sharding import distribute

torch.set_num_threads(1)
IN_ORDER = ["recency", "attention"]
in_order = pytest.mark.parametrize("pooling", IN_ORDER)


def network(pooling: str, **settings: object) -> TwoTower:
    torch.manual_seed(0)
    return TwoTowerSpec.model_validate({"history_pooling": pooling, "embedding_dim": 8, "init_std": 0.5, **settings}).build(SCHEMA).eval()


def people(*likes: list[int]) -> dict[str, np.ndarray]:
    items = np.array([item for one in likes for item in one], np.int32)
    return {"history.values": items, "history.lengths": np.array([len(one) for one in likes], np.int32)}


def states(net: TwoTower, *likes: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return net.encode_users(to_batch(people(*likes), SCHEMA, len(likes)))


def reader(net: TwoTower) -> OrderedHistory:
    assert net.in_order is not None
    return net.in_order


def vectors(net: TwoTower) -> torch.Tensor:
    return reader(net).ebc.embedding_bags["history"].weight.detach()


@in_order
def test_before_training_a_history_in_order_is_the_mean_and_nothing_for_who_liked_nothing(pooling: str) -> None:
    net = network(pooling)
    found = states(net, [1, 2, 5], [], [3])[:, :-1]
    table = vectors(net)
    torch.testing.assert_close(found, torch.stack([table[[1, 2, 5]].mean(0), torch.zeros(8), table[3]]))


@in_order
def test_a_like_weighs_by_its_age_in_each_head_of_its_own(pooling: str) -> None:
    net, gone = network(pooling), math.log(1 / 9) / QUICK
    with torch.no_grad():
        reader(net).ages[1:, 0] = gone  # in the first head, what is not the newest weighs a ninth
    found, table = states(net, [1, 2, 5])[0, :-1], vectors(net)
    torch.testing.assert_close(found[:2], (table[1, :2] + table[2, :2] + 9 * table[5, :2]) / 11)
    torch.testing.assert_close(found[2:], table[[1, 2, 5], 2:].mean(0))


def test_attention_weighs_likes_by_what_they_are_and_by_what_the_newest_is() -> None:
    net = network("attention")
    torch.manual_seed(3)
    with torch.no_grad():
        reader(net).seed.normal_()
        torch.testing.assert_close(states(net, [1, 2, 5]), states(net, [2, 1, 5]))  # ages say nothing yet
        assert not torch.allclose(states(net, [1, 2, 5])[0, :-1], vectors(net)[[1, 2, 5]].mean(0))
        torch.testing.assert_close(states(net, [1, 2, 5]), states(net, [5, 2, 1]))
        reader(net).newest.weight.normal_()
        assert not torch.allclose(states(net, [1, 2, 5]), states(net, [5, 2, 1]))


@in_order
def test_people_beside_one_another_do_not_change_one_another(pooling: str) -> None:
    net = network(pooling)
    several: tuple[list[int], ...] = ([1, 2, 3, 4, 5], [], [6], [2, 7])
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    torch.testing.assert_close(states(net, *several), torch.cat([states(net, one) for one in several]))


def test_dropout_leaves_likes_out_and_keeps_the_ages_of_the_others() -> None:
    net = network("recency")
    with torch.no_grad():
        reader(net).ages[1:] = -10.0  # of age 0 alone, unless it is left out
        pair = to_batch(people([1, 2]), SCHEMA, 1).sparse
        found = {tuple(reader(net)(pair, 0.5)[0].tolist()) for _ in range(40)}
    table = vectors(net)
    assert found == {tuple(table[2].tolist()), tuple(table[1].tolist()), (0.0,) * 8}


@in_order
def test_a_step_in_which_nobody_liked_anything_has_gradients(pooling: str) -> None:
    net = network(pooling, objective="pointwise").train()
    loss, _ = net.loss(to_batch(people([], [], []) | ITEMS | {"label": np.array([1, 0, 1])}, SCHEMA, 3))
    loss.backward()
    assert reader(net).ebc.embedding_bags["history"].weight.grad is not None


def _learn(rank: int, world: int, folder: Path) -> None:
    """Three steps of each on a rank's part of six rows, in shared memory and in TorchRec's own way; rank 0 keeps the weights."""
    for pooling in IN_ORDER:
        for shared in (True, False):
            _learn_one(pooling, shared, rank, world, folder)


def _learn_one(pooling: str, shared: bool, rank: int, world: int, folder: Path) -> None:
    net = network(pooling, objective="pointwise", history_dropout=0.0)
    first = {name: value.clone() for name, value in net.state_dict().items()}
    spec = TrainSpec(table_learning_rate=0.1, table_epsilon=1e-3, dense_learning_rate=0.01, timeout_s=60, shared_tables=shared)
    model = distribute(net, spec, torch.device("cpu"))
    ranks.restore(model.module.state_dict(), first)
    own = np.arange(6).reshape(world, -1)[rank]
    likes = [[1, 2], [], [5, 3, 1], [], [2], [4, 1]]
    columns = people(*(likes[one] for one in own)) | {
        "item_id": np.array([4, 5, 6, 1, 2, 3])[own],
        "label": np.array([1, 0, 1, 0, 0, 1])[own],
    }
    for _ in range(3):
        model.optimizers.zero_grad()
        model.module(to_batch(columns, SCHEMA, len(own)))[0].backward()
        model.optimizers.step()
    weights = {name: ranks.whole(value, rank).numpy().copy() for name, value in model.module.state_dict().items()}
    if rank == 0:
        np.savez(folder / f"{pooling}{shared}{world}.npz", **weights)


def test_two_ranks_learn_what_one_learns(tmp_path: Path) -> None:
    for world in (1, 2):
        ranks.side_by_side(world, tmp_path, _learn)
    for pooling in IN_ORDER:
        one = np.load(tmp_path / f"{pooling}True1.npz")
        for other in ("False1", "True2", "False2"):
            found = np.load(tmp_path / f"{pooling}{other}.npz")
            assert sorted(one.files) == sorted(found.files)
            for name in one.files:
                np.testing.assert_allclose(found[name], one[name], rtol=1e-3, atol=1e-5, err_msg=f"{pooling} {other} {name}")


def test_settings_of_a_history_are_searched_where_it_is_read() -> None:
    assert "history_pooling" in TwoTowerSpec(history=False).unsearched
    assert "history_pooling" not in TwoTowerSpec().unsearched
    assert "history by recency" in TwoTowerSpec(history_pooling="recency").title
