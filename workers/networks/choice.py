"""Learning what people choose: the loss of liked rows against items drawn from the catalogue, for networks that score pairs.

Letters: B rows of the data, C drawn items, P liked rows, M negatives of each of them, O outputs.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.networks.ranker import Batch, Ranker, in_history, item_rows, weighted_mean


def choice_loss(
    net: Ranker, users: Tensor, items: Tensor, batch: Batch, whole: KeyedJaggedTensor, num_negatives: int, log_proposal: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted mean loss and the sum of the weights (scalars): sampled softmax where the output is binary, else the head's own losses.

    Args:
        users, items: states of the batch, [B, S] and [B + C, S']. whole: its features before any was dropped.
        num_negatives: M, C at most. log_proposal: logarithm of the probability that an item row is drawn.
    """
    real, rows = len(users), item_rows(whole)
    liked = torch.nonzero(batch.label[:real] > 0.5)[:, 0]
    # each row has a few of the drawn items as negatives, and every item is a negative equally often
    at = (liked[:, None] + torch.randperm(batch.sampled, device=liked.device)[:num_negatives]) % batch.sampled
    # `index_select`, since the gradients of an indexed tensor are added up in whatever order threads come
    chosen, negatives = users.index_select(0, liked), items.index_select(0, real + at.flatten())
    drawn = net.score(chosen.repeat_interleave(at.shape[1], 0), negatives)
    excluded = _excluded(whole, rows, real, len(log_proposal))[liked].gather(1, at)
    if net.head.output == "binary":
        own = net.head.score(net.score(chosen, items.index_select(0, liked)))
        logits = torch.cat([own[:, None], net.head.score(drawn).view(at.shape)], 1)
        logits = logits - log_proposal[rows[torch.cat([liked[:, None], real + at], 1)]]
        return weighted_mean(sampled_softmax(logits, excluded), batch.weight[liked])
    losses = net.head.losses(net.score(users, items[:real]), batch.label[:real], batch.target[:real])
    rejected = net.head.losses(drawn, drawn.new_zeros(len(drawn)), batch.target.new_zeros(len(drawn), *batch.target.shape[1:]))
    weights = (batch.weight[liked, None] * ~excluded).flatten()
    return weighted_mean(torch.cat([losses, rejected]), torch.cat([batch.weight[:real], weights]))


def sampled_softmax(logits: Tensor, excluded: Tensor) -> Tensor:
    """Loss [P] of choosing the first of 1 + M items, whose logits are corrected by the logarithm of their proposal.

    Jean, Cho, Memisevic and Bengio, "On using very large target vocabulary for neural machine translation", ACL 2015, eq. 8.

    Args:
        logits: [P, 1 + M]. excluded: bool [P, M], drawn items that the user likes too: they are no negatives.
    """
    masked = F.pad(excluded, (1, 0))
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return F.cross_entropy(logits.masked_fill(masked, float("-inf")), first, reduction="none")


def _excluded(whole: KeyedJaggedTensor, rows: Tensor, real: int, num_rows: int) -> Tensor:
    """Whether a drawn item is a row's own or in its history: bool [B, C]."""
    same = rows[:real, None] == rows[None, real:]
    return same | in_history(whole, real, rows[real:], num_rows)


def proposal(draw: Literal["uniform", "popularity"], popularity: Tensor) -> Tensor:
    """The probability that each item is drawn, float64 [N], given how often each is liked in train.

    "popularity" draws by likes to the power 3/4 (Mikolov et al., NIPS 2013); an item without likes counts half a like.
    """
    weights = torch.ones(len(popularity), dtype=torch.float64) if draw == "uniform" else popularity.double().clamp(min=0.5) ** 0.75
    return weights / weights.sum()
