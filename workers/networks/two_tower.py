"""Two towers whose states are compared by one dot product, so that items fit into a vector index."""

from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather as all_gather_with_gradient
from torch.nn import functional as F
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.networks.heads import Head
from workers.networks.history import OrderedHistory
from workers.networks.ranker import Batch, Pooled, Ranker, collection, in_history, item_rows, mlp, scale_history, table, used
from workers.specs import BINARY, HISTORY, ITEM_ID, Categorical, FeatureSchema, Task

if TYPE_CHECKING:
    from workers.models import TwoTowerSpec

BIAS = "item_bias"
BIAS_DIM = 4  # fbgemm wants widths that are multiples of 4; the bias is the sum of the four
TINY = torch.finfo(torch.float32).tiny


class Tower(nn.Module):
    """One side: its embeddings and dense features to [B, D]. Without hidden layers they are summed, else concatenated.

    The history is a mean, so that long histories do not dominate.
    """

    def __init__(
        self, features: tuple[Categorical, ...], dense: tuple[int, ...], dim: int, layers: tuple[int, ...], in_order: bool = False
    ) -> None:
        """in_order: whether the history comes as a mean; it is a sum where it was pooled by its table."""
        super().__init__()
        self.summed = None if in_order else HISTORY
        self.names, self.dense, self.dim = [f.name for f in features], list(dense), dim
        self.from_dense = nn.Linear(len(dense), dim, bias=False) if dense else None
        width = dim * (len(features) + bool(dense))
        self.deep = mlp([width, *layers, dim]) if layers else None
        if self.from_dense is not None:
            nn.init.normal_(self.from_dense.weight, std=0.01)

    def forward(self, pooled: Pooled, batch: Batch) -> Tensor:
        parts = [scale_history(pooled[n], batch.sparse, power=1) if n == self.summed else pooled[n] for n in self.names]
        if self.from_dense is not None:
            parts.append(self.from_dense(batch.dense[:, self.dense]))
        if self.deep is not None:
            return self.deep(torch.cat(parts, dim=1))
        return sum(parts[1:], parts[0]) if parts else batch.dense.new_zeros(len(batch.dense), self.dim)


class TwoTower(Ranker):
    """States carry one more dimension (1 for a user, the bias for an item), so the score is a plain dot product.

    Where a dataset gives more to predict than one logit, each output weighs the products of the coordinates in its own way
    (Yang et al., DistMult, ICLR 2015, eq. 3, with an output for a relation); `query` folds the weights into the user, so that the
    score that ranks stays a dot product with the item's state, as a vector index needs.
    """

    side_by_side = False
    by_dot_product = True

    def __init__(self, spec: "TwoTowerSpec", schema: FeatureSchema, task: Task) -> None:
        super().__init__()
        self.objective = spec.objective
        self.cosine, self.temperature, self.explicit_negatives = spec.similarity == "cosine", spec.temperature, spec.explicit_negatives
        reads_history = spec.history and schema.has_history
        self.likes_dropped = spec.history_dropout if reads_history else 0.0
        self.history_dropout = self.likes_dropped if spec.history_pooling == "mean" else 0.0
        self.mask_history = spec.mask_history and schema.has_history
        features = used(
            schema, user_id=spec.user_id, history=spec.history, user_features=spec.user_features, item_features=spec.item_features
        )
        dim = spec.embedding_dim
        self.in_order = None
        if reads_history and spec.history_pooling != "mean":
            self.in_order = OrderedHistory(spec.history_pooling, schema, dim, spec.init_std)
        tables = [table(f, dim, spec.init_std) for f in features if self.in_order is None or f.name != HISTORY]
        bias = table(schema.feature(ITEM_ID), BIAS_DIM, 0.0, BIAS)
        self.ebc = collection([*tables, bias])
        user_dense = schema.dense_on("user", "context") if spec.user_features else ()
        item_dense = schema.dense_on("item") if spec.item_features else ()
        self.user = Tower(tuple(f for f in features if f.side != "item"), user_dense, dim, spec.user_layers, self.in_order is not None)
        self.item = Tower(tuple(f for f in features if f.side == "item"), item_dense, dim, spec.item_layers)
        self.head = Head(BINARY if spec.learns_choice else task, spec.action_weights)
        self.outputs = _Outputs(task, self.head, dim + 1) if not spec.learns_choice and task.output != "binary" else None
        num_items = schema.feature(ITEM_ID).num_rows
        self.register_buffer("frequency", torch.full((num_items,), 1.0 / num_items), persistent=False)

    def embed(self, batch: Batch) -> Pooled:
        pooled = super().embed(batch)
        if self.in_order is not None:
            pooled[HISTORY] = self.in_order(batch.sparse, self.likes_dropped if self.training else 0.0)
        return pooled

    def _user(self, pooled: Pooled, batch: Batch) -> Tensor:
        vector = self._scaled(self.user(pooled, batch))
        return vector if self.temperature == 1 else vector / self.temperature  # saves a pass over [B, D]

    def user_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        vector = self._user(pooled, batch)
        return torch.cat([vector, torch.ones_like(vector[:, :1])], dim=1)

    def item_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        return torch.cat([self._scaled(self.item(pooled, batch)), pooled[BIAS].sum(1, keepdim=True)], dim=1)

    def forward(self, batch: Batch) -> Tensor:
        if self.outputs is not None:
            return super().forward(batch)
        pooled = self.embed(batch)  # as `score` of both states, without building them
        products = self._user(pooled, batch) * self._scaled(self.item(pooled, batch))
        return products.sum(1, keepdim=True) + pooled[BIAS].sum(1, keepdim=True)

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        products = users * items
        return products.sum(1, keepdim=True) if self.outputs is None else self.outputs(products)

    def query(self, users: Tensor) -> Tensor:
        return users if self.outputs is None else users * self.outputs.of_score(self.head)

    def score_grid(self, users: Tensor, items: Tensor) -> Tensor:
        grid = self.query(users) @ items.T
        return grid if self.outputs is None else grid + self.head.score(self.outputs.bias)

    def _scaled(self, vector: Tensor) -> Tensor:
        return F.normalize(vector, dim=1) if self.cosine else vector

    def learn_frequencies(self, positives: Tensor) -> None:
        # an item without a like in train counts half a like, so that its logarithm exists
        self.frequency.copy_(positives.clamp(min=0.5) / positives.sum().clamp(min=1))

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        batch = self.prepare(batch)
        whole = batch.whole
        if self.objective == "pointwise":
            return super().loss(batch)
        pooled = self.embed(batch)
        users, items = self.user_state(pooled, batch), self.item_state(pooled, batch)
        real = len(batch.label) - batch.sampled
        users, weights = users[:real], batch.weight[:real]
        chosen = weights * (batch.label[:real] > 0.5)
        losses = (self._sampled_softmax if self.objective == "softmax" else self._pairwise)(users, items, whole, batch.sampled)
        total = (losses * chosen).sum()
        if self.explicit_negatives > 0:
            disliked = F.softplus((users * items[:real]).sum(1)) * (weights - chosen)
            total = total + self.explicit_negatives * disliked.sum()
        return total / chosen.sum().clamp(min=TINY), chosen.sum()

    def _sampled_softmax(self, users: Tensor, items: Tensor, sparse: KeyedJaggedTensor, sampled: int) -> Tensor:
        """Loss [B] of choosing the row's item out of all items of the step, those of other ranks too.

        Sampled softmax with logQ correction: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
        recommendations", RecSys 2019, eq. 3; candidates drawn uniformly beside those of the batch: Yang et al., "Mixed negative
        sampling for learning two-tower neural networks in recommendations", WWW 2020. Copies of the row's item are no negatives,
        and neither are items of the user's whole history: they are not recommended again, and they would push similar items away.
        """
        rows = item_rows(sparse)
        everywhere, every_row = across_ranks(items), across_ranks(rows)
        ranks = len(every_row) // len(rows)
        in_batch, drawn = (len(rows) - sampled) * ranks, sampled * ranks
        # how often an item is expected among the candidates of a step
        expected = in_batch * self.frequency[every_row] + drawn / (len(self.frequency) - 1)
        logits = (users @ everywhere.T).float()  # under autocast the product is narrower
        own = torch.arange(len(users), device=rows.device)
        at = own + (dist.get_rank() * len(rows) if ranks > 1 else 0)
        masked = rows[: len(users), None] == every_row
        if self.mask_history:
            masked |= in_history(sparse, len(users), every_row, len(self.frequency))
        masked[own, at] = False
        with torch.no_grad():  # in place: neither changes a gradient, since masked items have no share of a softmax
            logits.sub_(expected.log()).masked_fill_(masked, float("-inf"))
        return F.cross_entropy(logits, at, reduction="none")

    def _pairwise(self, users: Tensor, items: Tensor, sparse: KeyedJaggedTensor, sampled: int) -> Tensor:
        """Loss [B] of preferring the row's item to one of the sampled items; 0 where that is the row's own or one of the history.

        Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009, section 4.1; items are drawn uniformly.
        """
        real = len(users)
        drawn = real + torch.randint(sampled, (real,), device=users.device)
        rows, own = item_rows(sparse), torch.arange(real, device=users.device)
        excluded = rows[drawn] == rows[:real]
        if self.mask_history:
            excluded |= in_history(sparse, real, rows[real:], len(self.frequency))[own, drawn - real]
        differences = (users * (items[:real] - items[drawn])).sum(1)
        return F.softplus(-differences) * ~excluded


class _Outputs(nn.Module):
    """Logits [B, O] of the products of two states' coordinates [B, S]."""

    def __init__(self, task: Task, head: Head, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(head.outputs, width))
        self.bias = nn.Parameter(torch.full((head.outputs,), float(task.mean or 0.0) if task.output == "regression" else 0.0))
        if task.output == "multi_class":  # with equal weights, classes would get equal gradients
            nn.init.normal_(self.weight)

    def forward(self, products: Tensor) -> Tensor:
        return F.linear(products, self.weight, self.bias)

    def of_score(self, head: Head) -> Tensor:
        """How much each coordinate counts in the score that ranks: [S]."""
        return self.weight[0] if head.outputs == 1 else head.preference @ self.weight


def across_ranks(own: Tensor) -> Tensor:
    """The rows of all ranks, in rank order; gradients flow back to the rank that a row came from. Every rank has as many."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return own
    if own.requires_grad:
        return torch.cat(all_gather_with_gradient(own))
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own.contiguous())
    return torch.cat(parts)
