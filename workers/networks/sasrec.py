"""Self-attention over the items that a person liked, in order of time: the state after them is a query of an index of item vectors.

Letters: B rows, S sequences, P positions of all of them (in training the B rows themselves), L positions of the longest, M drawn items.
"""

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.networks.choice import proposal, sampled_softmax
from workers.networks.heads import Head
from workers.networks.ranker import Batch, Order, Pooled, Ranker, by_table, collection, item_rows, table, weighted_mean
from workers.specs import BINARY, ITEM_ID, FeatureSchema

if TYPE_CHECKING:
    from workers.models import SASRecSpec

BIAS = "item_bias"
BIAS_DIM = 4  # fbgemm wants widths that are multiples of 4; the bias is the sum of the four
AT_ONCE = 1 << 16  # positions that go through the blocks at a time where no gradient is kept


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each added to what it reads after a normalisation (Kang and McAuley, eq. 4 to 6)."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention, self.before_layers = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.in_projection, self.out_projection = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.first, self.second = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, positions: Tensor) -> Tensor:
        """[S, L, D] to [S, L, D]; a position reads itself and those before it."""
        some, longest, dim = positions.shape
        parts = self.in_projection(self.before_attention(positions)).view(some, longest, 3, self.heads, dim // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        read = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        read = self.out_projection(read.transpose(1, 2).reshape(some, longest, dim))
        positions = positions + F.dropout(read, self.dropout, self.training)
        hidden = F.dropout(F.relu(self.first(self.before_layers(positions))), self.dropout, self.training)
        return positions + F.dropout(self.second(hidden), self.dropout, self.training)


class SASRec(Ranker):
    """States carry one more dimension (1 for a user, the bias for an item), so the score is a plain dot product.

    Row 0 of the items stands before the first like of everybody: so the first like is learnt too, and who liked nothing has a state. In
    training each row's item is set against the drawn items of the step, by the state at the position before it.
    """

    side_by_side: ClassVar[bool] = False
    by_dot_product: ClassVar[bool] = True
    looks_up_batch: ClassVar[bool] = False

    def __init__(self, spec: "SASRecSpec", schema: FeatureSchema) -> None:
        super().__init__()
        self.loss_name, self.calibration, self.dropout, self.order_length = spec.loss, spec.calibration, spec.dropout, spec.length
        items, dim = schema.feature(ITEM_ID), spec.embedding_dim
        self.ebc = collection([table(items, dim, spec.init_std), table(items, BIAS_DIM, 0.0, BIAS)])
        self.positions = nn.Parameter(torch.randn(spec.length, dim) * spec.init_std)
        self.blocks = nn.ModuleList(Block(dim, spec.heads, spec.dropout) for _ in range(spec.blocks))
        self.norm = nn.LayerNorm(dim)
        self.head = Head(BINARY)
        self.draw = spec.draw
        self.register_buffer("log_proposal", torch.zeros(items.num_rows), persistent=False)

    def learn_frequencies(self, positives: Tensor) -> None:
        self.log_proposal[1:] = proposal(self.draw, positives[1:]).log().float()

    def user_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        order = batch.order or _alone(len(batch.label), batch.label.device)
        states = self._states(pooled[ITEM_ID], order)
        return self._query(states[order.lengths.cumsum(0) - 1])

    def item_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        return torch.cat([pooled[ITEM_ID], pooled[BIAS].sum(1, keepdim=True)], dim=1)

    def encode_users(self, batch: Batch) -> Tensor:
        order = batch.order or _alone(len(batch.label), batch.label.device)
        return self.user_state(self._items(order.items), batch)

    def encode_items(self, batch: Batch) -> Tensor:
        return self.item_state(self._items(item_rows(batch.sparse)), batch)

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        return (users * items).sum(1, keepdim=True)

    def score_grid(self, users: Tensor, items: Tensor) -> Tensor:
        return users @ items.T

    def forward(self, batch: Batch) -> Tensor:
        return self.score(self.encode_users(batch), self.encode_items(batch))

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        rows, real = item_rows(batch.sparse), len(batch.label) - batch.sampled
        order = batch.order or _alone(real, batch.label.device)
        pooled = self._items(torch.cat([order.items, rows]))  # one lookup, so one exchange between ranks
        before = len(order.items)
        states = self._states(pooled[ITEM_ID][:before], order)
        users = self._query(states if before == real else states[order.lengths.cumsum(0) - 1])
        items = self.item_state({name: one[before:] for name, one in pooled.items()}, batch)
        own = (users * items[:real]).sum(1)
        drawn = users @ items[real:].T
        same = rows[:real, None] == rows[None, real:]
        weights = batch.weight[:real] * (batch.label[:real] > 0.5)
        losses = self._softmax(own, drawn, same, rows) if self.loss_name == "softmax" else self._gbce(own, drawn, same)
        return weighted_mean(losses, weights)

    def _softmax(self, own: Tensor, drawn: Tensor, same: Tensor, rows: Tensor) -> Tensor:
        """Loss [B] of choosing the row's item out of it and the drawn ones, as `sampled_softmax`."""
        logits = torch.cat([own[:, None], drawn], dim=1).float()  # under autocast the product is narrower
        expected = self.log_proposal[rows]
        corrected = torch.cat([expected[: len(own), None], expected[len(own) :].expand(len(own), -1)], dim=1)
        return sampled_softmax(logits - corrected, same)

    def _gbce(self, own: Tensor, drawn: Tensor, same: Tensor) -> Tensor:
        """Generalised binary cross entropy [B]: Petrov and Macdonald, "gSASRec: Reducing overconfidence in sequential recommendation
        trained with negative sampling", RecSys 2023, eq. 7 and 12: the probability of the row's item to the power beta."""
        alpha = min(1.0, max(1, drawn.shape[1]) / max(1, len(self.log_proposal) - 2))  # share of the other items that is drawn
        beta = alpha * (self.calibration * (1 - 1 / alpha) + 1 / alpha)
        rejected = F.softplus(drawn.float()).masked_fill(same, 0.0).sum(1)
        return (beta * F.softplus(-own.float()) + rejected) / (1 + drawn.shape[1])

    def _items(self, rows: Tensor) -> Pooled:
        """Embeddings [n, D] and biases of item rows [n]: bags of one, so that the collection that trains them can be any of TorchRec's."""
        ones = torch.ones(len(rows), dtype=torch.int32, device=rows.device)
        parts = self.ebc(KeyedJaggedTensor([ITEM_ID], rows, lengths=ones, length_per_key=[len(rows)]))
        return by_table(parts if isinstance(parts, list) else [parts])

    def _query(self, states: Tensor) -> Tensor:
        return torch.cat([states, torch.ones_like(states[:, :1])], dim=1)

    def _states(self, embedded: Tensor, order: Order) -> Tensor:
        """The state after each position: [P, D] to [P, D]."""
        if self.training:
            return self._through_blocks(embedded, order.lengths)
        some = max(1, AT_ONCE // self.order_length)
        sizes = [int(lengths.sum()) for lengths in order.lengths.split(some)]
        parts = zip(embedded.split(sizes), order.lengths.split(some), strict=True)
        return torch.cat([self._through_blocks(part, lengths) for part, lengths in parts])

    def _through_blocks(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Sequences are padded behind their last position, which no position before reads, so that attention needs no mask of its own."""
        if not len(lengths):
            return embedded  # a rank without rows
        count, longest = len(lengths), int(lengths.max())
        owner = torch.repeat_interleave(torch.arange(count, device=lengths.device), lengths)
        place = torch.arange(len(owner), device=lengths.device) - (lengths.cumsum(0) - lengths)[owner]
        # the newest position has the last place, whatever came before
        placed = embedded * embedded.shape[1] ** 0.5 + self.positions[self.order_length - lengths[owner] + place]
        placed = F.dropout(placed, self.dropout, self.training)
        at = owner * longest + place
        padded = placed.new_zeros(count * longest, placed.shape[1]).index_copy(0, at, placed).view(count, longest, -1)
        for block in self.blocks:
            padded = block(padded)
        return self.norm(padded.flatten(0, 1).index_select(0, at))


def _alone(rows: int, device: torch.device) -> Order:
    """Rows of people who liked nothing before."""
    return Order(torch.zeros(rows, dtype=torch.long, device=device), torch.ones(rows, dtype=torch.long, device=device))
