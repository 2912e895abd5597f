"""SASRec: what a position reads, and the losses of the papers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests import tiny
from tests.contracts.test_models import SCHEMA
from workers.artifacts import PreparedDataset
from workers.batches import newest, read_likes, sequences_of, to_batch, to_targets
from workers.models import SASRecSpec

torch.set_num_threads(1)


def people(*likes: list[int], most: int = 10) -> dict[str, np.ndarray]:
    items = np.array([item for one in likes for item in one], np.int32)
    return newest(items, np.array([len(one) for one in likes]), most)


def network(**settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    net = SASRecSpec.model_validate({"embedding_dim": 8, "length": 10, "init_std": 0.5, **settings}).build(SCHEMA)
    return net.eval()


def states(net: torch.nn.Module, *likes: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return net.encode_users(to_batch(people(*likes, most=net.order_length), SCHEMA, len(likes)))


def test_people_who_are_scored_have_their_newest_likes_after_a_row_that_stands_before_the_first() -> None:
    found = people([1, 2, 3], [], [4], most=3)
    assert found["sequence.values"].tolist() == [1, 2, 3, 0, 0, 4]
    assert found["sequence.lengths"].tolist() == [3, 1, 2]
    assert people([1, 2, 3], most=1)["sequence.values"].tolist() == [3]


def test_the_order_of_likes_counts_and_those_beyond_the_length_do_not() -> None:
    net = network(length=3)
    assert not torch.allclose(states(net, [1, 2, 3]), states(net, [2, 1, 3]))
    assert torch.allclose(states(net, [5, 1, 2, 3]), states(net, [4, 1, 2, 3]))


def test_people_beside_one_another_do_not_change_one_another() -> None:
    net, several = network(), ([1, 2, 3, 4, 5], [], [6], [2, 2])
    torch.testing.assert_close(states(net, *several), torch.cat([states(net, one) for one in several]))


def test_each_like_is_a_target_of_those_before_it_alone() -> None:
    """The state at each place of a training step is that of a person who liked what came before."""
    net, likes = network(), [[1, 2, 3], [4], [5, 6]]
    block = {"item_id.values": np.array([1, 2, 3, 4, 5, 6], np.int32), "item_id.lengths": np.array([3, 1, 2], np.int32)}
    step = to_targets(block, np.random.default_rng(0), schema=SCHEMA, most=10)
    assert step.sparse["item_id"].values().tolist() == [1, 2, 3, 4, 5, 6]
    assert step.order.items.tolist() == [0, 1, 2, 0, 0, 5]
    with torch.no_grad():
        found = net._states(net._items(step.order.items)["item_id"], step.order)
    # positions count from the newest, so the likes before are compared at the place that they have in the sequence
    for place, before in ((2, [1, 2]), (3, []), (5, [5])):
        torch.testing.assert_close(found[place], states(net, before)[0, :-1])
    changed = to_targets(
        block | {"item_id.values": np.array([1, 2, 7, 4, 5, 6], np.int32)}, np.random.default_rng(0), schema=SCHEMA, most=10
    )
    with torch.no_grad():
        torch.testing.assert_close(net._states(net._items(changed.order.items)["item_id"], changed.order), found)
    assert [len(one) for one in likes] == step.order.lengths.tolist()


def test_a_long_sequence_gives_as_many_targets_in_a_row_as_are_read_and_others_each_time() -> None:
    block = {"item_id.values": np.arange(1, 8, dtype=np.int32), "item_id.lengths": np.array([7], np.int32)}
    rng, begun = np.random.default_rng(0), set[int]()
    for _ in range(40):
        step = to_targets(block, rng, schema=SCHEMA, most=3)
        targets, before = step.sparse["item_id"].values().tolist(), step.order.items.tolist()
        assert targets == [targets[0], targets[0] + 1, targets[0] + 2]
        assert before == [target - 1 for target in targets]
        begun.add(targets[0])
    assert begun == {1, 2, 3, 4, 5}


def test_losses_are_those_of_the_papers() -> None:
    """Softmax: what is drawn often counts less, and copies of the target are no negatives. gBCE: the target's probability to the beta."""
    torch.manual_seed(1)
    own, drawn = torch.randn(2), torch.randn(2, 3)
    rows, same = torch.tensor([1, 2, 3, 1, 4]), torch.tensor([[False, True, False], [False, False, False]])
    net = network(loss="softmax", draw="popularity")
    net.learn_frequencies(torch.tensor([0.0, 9, 1, 4, 2, 1, 0, 3]))
    q = net.log_proposal
    first = torch.stack([own[0] - q[1], drawn[0, 0] - q[3], drawn[0, 2] - q[4]])
    second = torch.stack([own[1] - q[2], *(drawn[1] - q[rows[2:]])])
    expected = torch.stack([first.logsumexp(0) - first[0], second.logsumexp(0) - second[0]])
    torch.testing.assert_close(net._softmax(own, drawn, same, rows), expected)

    alpha, t = 3 / 6, 0.75
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    kept = (F.softplus(drawn) * ~same).sum(1)
    torch.testing.assert_close(network(loss="gbce")._gbce(own, drawn, same), (beta * F.softplus(-own) + kept) / 4)


def test_sequences_of_some_users_are_read_from_the_blocks_in_their_order(tmp_path: Path) -> None:
    frame = tiny.followed(users=8, leads=12, met=5)
    tiny.write(frame, tmp_path / "dataset")
    dataset = PreparedDataset.open(tmp_path / "dataset")
    users = np.array([3, 0, *range(8), 3])
    by_split = {}
    for split in ("valid", "test"):
        whole = read_likes(dataset, in_order=True, splits=dataset.known(split)).matrix
        found = sequences_of(dataset, users, 4, split)
        ends = np.cumsum(found["sequence.lengths"])
        by_split[split] = found["sequence.values"].tolist()
        for user, bag in zip(users, np.split(found["sequence.values"], ends[:-1]), strict=True):
            likes = (whole.indices[whole.indptr[user] : whole.indptr[user + 1]] + 1).tolist()
            assert bag.tolist() == [0, *likes][-4:]
    assert by_split["valid"] != by_split["test"], "some of them like something in validation"
    assert len(sequences_of(dataset, np.zeros(0, np.int64), 4, "test")["sequence.lengths"]) == 0


def test_a_dataset_without_an_order_is_refused_in_a_sentence() -> None:
    label = {"kind": "given", "output": "binary"}
    assert SASRecSpec().refusal(SCHEMA, label) is None
    assert "no such order" in (SASRecSpec().refusal(SCHEMA.model_copy(update={"sequence": 0}), label) or "")
    assert "prepared before" in (SASRecSpec().refusal(SCHEMA.model_copy(update={"sequence": None}), label) or "")
    with pytest.raises(ValueError, match="does not divide"):
        SASRecSpec(embedding_dim=64, heads=3)
