"""Rankers that learn choice: their loss is that of the papers, written as a loop over rows."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from tests.contracts.test_models import SCHEMA
from tests.unit.workers.batches.test_negatives import CATALOGUE, rows
from workers.batches.negatives import Sampler
from workers.models import MODELS
from workers.networks.choice import choice_loss, proposal
from workers.networks.heads import Head
from workers.networks.ranker import Batch
from workers.specs.schema import Task
from workers.specs.training import Sampling

LIKES = torch.tensor([0.0, 16, 4, 0, 1, 9, 2, 3])  # of item rows 0, 1, …, N
ACTIONS = Task(output="actions", classes=("click", "buy"), liked=("buy",))


def network(kind, task=Task(), **more):  # noqa: B008 - frozen
    torch.manual_seed(3)
    net = MODELS[kind](negatives="popularity", num_negatives=4, dropout=0.0, history_dropout=0.0, **more).build(SCHEMA, task)
    net.learn_frequencies(LIKES)
    return net


def extended(label=(1, 0, 1), weight=(1, 1, 2), count=6):
    return Sampler(Sampling(draw="popularity", candidates=count), SCHEMA, CATALOGUE, LIKES[1:], seed=5)(rows(label, weight))


def met(batch, num_negatives):
    """The items that each liked row meets, as the loss draws them."""
    shifts = torch.randperm(batch.sampled)[:num_negatives].tolist()
    real = len(batch.label) - batch.sampled
    return {place: [real + (place + shift) % batch.sampled for shift in shifts] for place in range(real) if batch.label[place] > 0.5}


def likes_of(batch, place):
    own = batch.sparse["item_id"].values()[place].item()
    bags = torch.split(batch.sparse["history"].values(), batch.sparse["history"].lengths().tolist())
    return {own, *bags[place].tolist()}


@pytest.mark.parametrize("kind", ["dlrm", "dlrm_dcnv2", "deepfm"])
def test_sampled_softmax_of_a_ranker_is_that_of_the_paper(kind):
    net, batch = network(kind), extended()
    torch.manual_seed(8)
    loss, total = net.loss(batch)
    torch.manual_seed(8)
    pooled = net.embed(batch)
    users, items = net.user_state(pooled, batch), net.item_state(pooled, batch)
    q = proposal("popularity", LIKES[1:])
    item_rows = batch.sparse["item_id"].values().tolist()
    losses, weights = [], []
    for place, drawn in met(batch, 4).items():
        fair = [one for one in drawn if item_rows[one] not in likes_of(batch, place)]
        logits = [float(net.score(users[[place]], items[[one]])) - float(q[item_rows[one] - 1].log()) for one in (place, *fair)]
        losses.append(np.log(np.exp(logits).sum()) - logits[0])
        weights.append(float(batch.weight[place]))
    assert float(loss) == pytest.approx(np.average(losses, weights=weights), rel=1e-5)
    assert float(total) == sum(weights) == 3


def test_of_several_actions_drawn_items_are_rows_without_any():
    net, batch = network("dlrm", ACTIONS), extended()
    target = torch.tensor([[1.0, 1], [1, 0], [0, 1]])
    batch = batch._replace(target=torch.cat([target, torch.zeros(batch.sampled, 2)]))
    torch.manual_seed(8)
    loss, total = net.loss(batch)
    torch.manual_seed(8)
    pooled = net.embed(batch)
    users, items = net.user_state(pooled, batch), net.item_state(pooled, batch)
    item_rows, summed, weighed = batch.sparse["item_id"].values().tolist(), 0.0, 0.0
    pairs = [(place, place, target[place], float(batch.weight[place])) for place in range(3)]
    for place, drawn in met(batch, 4).items():
        pairs += [(place, one, torch.zeros(2), float(batch.weight[place])) for one in drawn if item_rows[one] not in likes_of(batch, place)]
    for place, one, wanted, weight in pairs:
        each = F.binary_cross_entropy_with_logits(net.score(users[[place]], items[[one]])[0], wanted, reduction="none")
        summed, weighed = summed + weight * float(each.mean()), weighed + weight
    assert float(loss) == pytest.approx(summed / weighed, rel=1e-5) and float(total) == pytest.approx(weighed)


def test_a_batch_without_likes_teaches_nothing_and_still_has_gradients():
    """Every rank must take part in each step's exchange."""
    net, batch = network("deepfm"), extended(label=(0, 0, 0))
    loss, total = net.loss(batch)
    loss.backward()
    assert float(loss) == float(total) == 0
    assert all(weight.grad is not None and not weight.grad.any() for weight in net.parameters())


def test_on_two_threads_the_same_step_has_the_same_gradients():
    """An item that many rows meet adds up their gradients, in an order that no thread may choose."""
    B, C, M, W = 512, 512, 20, network("dlrm").dim
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = [_gradients(B, C, M, W) for _ in range(6)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def _gradients(rows_, drawn, num_negatives, dim):
    """Of the states of a batch, under a score that is a dot product."""
    torch.manual_seed(2)
    users, items = torch.randn(rows_, dim, requires_grad=True), torch.randn(rows_ + drawn, dim, requires_grad=True)
    zeros = torch.zeros(rows_ + drawn)
    ids = KeyedJaggedTensor(["item_id"], torch.randint(1, 50, (rows_ + drawn,)), lengths=torch.ones(rows_ + drawn, dtype=torch.long))
    batch = Batch(zeros[:, None], ids, (zeros + (torch.arange(len(zeros)) < rows_)).float(), zeros + 1, zeros, sampled=drawn)
    net = SimpleNamespace(score=lambda a, b: (a * b).sum(1, keepdim=True), head=Head(Task()))
    loss, _ = choice_loss(net, users, items, batch, ids, num_negatives, torch.zeros(50))
    loss.backward()
    return users.grad, items.grad


def test_what_a_user_likes_is_drawn_in_vain():
    """With a catalogue that the user likes as a whole there is nothing to choose from: the loss is 0."""
    net = network("dlrm")
    everything = rows(label=(1, 0, 0))
    batch = Sampler(Sampling(draw="uniform", candidates=50), SCHEMA, CATALOGUE, LIKES[1:], seed=5)(everything)
    users, items = torch.randn(3, net.user_state(net.embed(batch), batch).shape[1]), net.item_state(net.embed(batch), batch)
    liked = likes_of(batch, 0)
    drawn = [row in liked for row in batch.sparse["item_id"].values().tolist()[3:]]
    assert 0 < sum(drawn) < 50
    only = batch._replace(sampled=50)
    loss, _ = choice_loss(net, users, items, only, batch.sparse, 50, net.log_proposal)
    q = net.log_proposal[batch.sparse["item_id"].values()]
    logits = torch.stack(
        [net.score(users[[0]], items[[one]])[0, 0] - q[one] for one in (0, *(3 + at for at in range(50) if not drawn[at]))]
    )
    assert float(loss) == pytest.approx(float(logits.logsumexp(0) - logits[0]), rel=1e-5)
