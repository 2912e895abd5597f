"""Networks that let every feature of both sides interact: DLRM, DLRM-DCNv2 and DeepFM. Letters: B batch, F features, D dim, O outputs."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchrec.models.dlrm import InteractionArch, InteractionDCNArch, OverArch
from torchrec.modules.crossnet import LowRankCrossNet
from torchrec.modules.embedding_modules import EmbeddingBagCollection

from workers.modules.choice import choice_loss
from workers.modules.heads import Head
from workers.modules.ranker import Batch, Pooled, Ranker, drop_history, mlp, scale_history, table, used
from workers.negatives import proposal
from workers.specs import HISTORY, ITEM_ID, Categorical, FeatureSchema, Task

WIDE = "wide:"  # tables of first-order weights, beside those of embeddings
WIDE_DIM = 4  # fbgemm wants widths that are multiples of 4; the weight is the sum of the four


class FeatureRanker(Ranker):
    """A state holds one side's embeddings, flat, then its first-order weights, then its dense features; the score lets sides interact.

    Subclasses set up what they need and define `interact`.

    Args:
        wide: whether every value of a category has a weight of its own beside its embedding (first order).
        negatives, num_negatives: how items of the catalogue are drawn, and how many of them each liked row is set against.
        history_dropout: share of the history forgotten at each step that does so.
    """

    def __init__(
        self,
        schema: FeatureSchema,
        head: Head,
        *,
        dim: int,
        dense_layers: tuple[int, ...],
        history: bool,
        init_std: float,
        wide: bool,
        negatives: Literal["none", "uniform", "popularity"],
        num_negatives: int,
        history_dropout: float,
    ) -> None:
        super().__init__()
        self.head, self.dim = head, dim
        self.negatives, self.num_negatives = negatives, num_negatives
        self.history_dropout = history_dropout if history and negatives != "none" else 0.0
        num_items = schema.feature(ITEM_ID).num_rows if schema.has_items else 1
        self.register_buffer("log_proposal", torch.zeros(num_items), persistent=False)  # alike for all where nothing is told
        features = used(schema, history=history)
        self.names = {side: [f.name for f in features if (f.side == "item") == (side == "item")] for side in ("user", "item")}
        self.dense = {"user": list(schema.dense_on("user", "context")), "item": list(schema.dense_on("item"))}
        self.wide = wide
        self.ebc = EmbeddingBagCollection(self._tables(features, init_std))
        num_dense = len(schema.dense)
        self.num_features, self.num_dense = len(features), num_dense
        # without dense features a learned vector takes their place in the interaction
        self.bottom = mlp([num_dense, *dense_layers, dim], last_linear=False) if num_dense else nn.Identity()
        self.stand_in = None if num_dense else nn.Parameter(torch.zeros(1, dim))
        self.from_dense = nn.Linear(num_dense, head.outputs, bias=False) if wide and num_dense else None
        self.from_wide = nn.Linear(WIDE_DIM, head.outputs, bias=False) if wide else None
        if self.from_wide is not None:
            nn.init.ones_(self.from_wide.weight)
        if self.from_dense is not None:
            nn.init.zeros_(self.from_dense.weight)
        # the schema's order is user, item, context; states keep it within a side
        order = torch.tensor(self.dense["user"] + self.dense["item"], dtype=torch.long).argsort()
        self.register_buffer("dense_order", order, persistent=False)

    def _tables(self, features: tuple[Categorical, ...], init_std: float) -> list[object]:
        wide = [table(f, WIDE_DIM, 0.0, WIDE + f.name) for f in features] if self.wide else []
        return [*(table(f, self.dim, init_std) for f in features), *wide]

    def interact(self, dense: Tensor, sparse: Tensor) -> Tensor:
        """Logits [B, O] of the embedded dense features [B, D] and the embeddings [B, F, D]."""
        raise NotImplementedError

    def _state(self, side: str, pooled: Pooled, batch: Batch) -> Tensor:
        names = self.names[side]
        parts = [scale_history(pooled[n], batch.sparse) if n == HISTORY else pooled[n] for n in names]
        if self.wide:
            parts.append(self._first_order(names, pooled, batch))
        return torch.cat([*parts, batch.dense[:, self.dense[side]]], dim=1)

    def _first_order(self, names: list[str], pooled: Pooled, batch: Batch) -> Tensor:
        weights = [scale_history(pooled[WIDE + n], batch.sparse) if n == HISTORY else pooled[WIDE + n] for n in names]
        return torch.stack(weights).sum(0) if weights else batch.dense.new_zeros(len(batch.dense), WIDE_DIM)

    def user_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        return self._state("user", pooled, batch)

    def item_state(self, pooled: Pooled, batch: Batch) -> Tensor:
        return self._state("item", pooled, batch)

    def learn_frequencies(self, positives: Tensor) -> None:
        if self.negatives == "popularity":
            self.log_proposal[1:] = proposal(self.negatives, positives[1:]).log()

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if not batch.sampled:
            return super().loss(batch)
        whole = batch.sparse
        if self.training and self.history_dropout > 0:
            batch = batch._replace(sparse=drop_history(whole, self.history_dropout))
        pooled, real = self.embed(batch), len(batch.label) - batch.sampled
        users, items = self.user_state(pooled, batch)[:real], self.item_state(pooled, batch)
        return choice_loss(self, users, items, batch, whole, self.num_negatives, self.log_proposal)

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        cut_u, cut_i = self.dim * len(self.names["user"]), self.dim * len(self.names["item"])
        more = WIDE_DIM if self.wide else 0
        sparse = torch.cat([users[:, :cut_u], items[:, :cut_i]], dim=1).view(len(users), self.num_features, self.dim)
        if self.stand_in is not None:
            given, dense = None, self.stand_in.expand(len(users), -1)
        else:
            given = torch.cat([users[:, cut_u + more :], items[:, cut_i + more :]], dim=1)[:, self.dense_order]
            dense = self.bottom(given)
        logits = self.interact(dense, sparse)
        if self.from_wide is not None:
            logits = logits + self.from_wide(users[:, cut_u : cut_u + more] + items[:, cut_i : cut_i + more])
        return logits if self.from_dense is None or given is None else logits + self.from_dense(given)


def _start_at(layer: nn.Module, task: Task) -> None:
    """A fresh regression foretells the mean of train."""
    if task.output == "regression" and task.mean is not None:
        nn.init.constant_(layer.bias, task.mean)  # type: ignore[arg-type]


class DLRMRanker(FeatureRanker):
    """Dot products of all pairs of embeddings, then an MLP."""

    def __init__(
        self, schema: FeatureSchema, task: Task, head: Head, *, over_layers: tuple[int, ...], dropout: float, **common: Any
    ) -> None:
        super().__init__(schema, head, **common)
        self.dropout = nn.Dropout(dropout)
        self.interaction = InteractionArch(num_sparse_features=self.num_features)
        pairs = (self.num_features + 1) * self.num_features // 2
        self.over = OverArch(in_features=self.dim + pairs, layer_sizes=[*over_layers, head.outputs])
        _start_at(self.over.model[-1], task)

    def interact(self, dense: Tensor, sparse: Tensor) -> Tensor:
        return self.over(self.dropout(self.interaction(dense_features=dense, sparse_features=sparse)))


class DCNRanker(FeatureRanker):
    """Low-rank cross layers over all embeddings, then an MLP."""

    def __init__(
        self,
        schema: FeatureSchema,
        task: Task,
        head: Head,
        *,
        over_layers: tuple[int, ...],
        dropout: float,
        cross_layers: int,
        low_rank: int,
        **common: Any,
    ) -> None:
        super().__init__(schema, head, **common)
        self.dropout = nn.Dropout(dropout)
        width = (self.num_features + 1) * self.dim
        self.interaction = InteractionDCNArch(self.num_features, LowRankCrossNet(width, cross_layers, min(low_rank, width)))
        self.over = OverArch(in_features=width, layer_sizes=[*over_layers, head.outputs])
        _start_at(self.over.model[-1], task)

    def interact(self, dense: Tensor, sparse: Tensor) -> Tensor:
        return self.over(self.dropout(self.interaction(dense_features=dense, sparse_features=sparse)))


class DeepFMRanker(FeatureRanker):
    """First order + dot products of all pairs, summed + an MLP over all embeddings: eq. 1 to 4 of the paper."""

    def __init__(
        self, schema: FeatureSchema, task: Task, head: Head, *, deep_layers: tuple[int, ...], dropout: float, **common: Any
    ) -> None:
        super().__init__(schema, head, **common)
        width = (self.num_features + 1) * self.dim
        # torchrec's own DeepFM ends in a sigmoid, and its FactorizationMachine multiplies every coordinate with every other
        self.deep = nn.Sequential(nn.Dropout(dropout), mlp([width, *deep_layers, head.outputs]))
        self.from_pairs = nn.Linear(1, head.outputs, bias=False)
        nn.init.ones_(self.from_pairs.weight)
        _start_at(self.deep[1][-1], task)  # type: ignore[index]

    def interact(self, dense: Tensor, sparse: Tensor) -> Tensor:
        every = torch.cat([dense[:, None], sparse], dim=1)
        pairs = 0.5 * (every.sum(1) ** 2 - (every**2).sum(1)).sum(1, keepdim=True)
        return self.from_pairs(pairs) + self.deep(every.flatten(1))
