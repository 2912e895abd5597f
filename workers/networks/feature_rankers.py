"""Networks in which features of users and items interact: DLRM, DLRM-DCNv2, DeepFM. Letters: B batch, F features, D dim, O outputs."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torchrec.models.dlrm import OverArch
from torchrec.modules.crossnet import LowRankCrossNet
from torchrec.sparse.jagged_tensor import KeyedTensor

from workers.networks.choice import choice_loss, proposal
from workers.networks.heads import Head
from workers.networks.ranker import Batch, Pooled, Ranker, by_table, collection, mlp, scale_history, table, tables_of, used
from workers.specs import HISTORY, ITEM_ID, Categorical, FeatureSchema, Task

if TYPE_CHECKING:
    from workers.models import DeepFMSpec, DLRMDCNSpec, DLRMSpec, RankerSpec

WIDE = "wide:"  # tables of first-order weights, beside those of embeddings
WIDE_DIM = 4  # fbgemm wants widths that are multiples of 4; the weight is the sum of the four


class FeatureRanker(Ranker):
    """A state holds one side's embeddings, flat, then its first-order weights, then its dense features; `score` combines both sides.

    Subclasses add their layers and define `interact`.
    """

    def __init__(self, spec: "RankerSpec", schema: FeatureSchema, task: Task) -> None:
        super().__init__()
        self.head, self.dim = Head(task, spec.action_weights), spec.embedding_dim
        self.negatives, self.num_negatives = spec.negatives, spec.num_negatives
        history = spec.history and schema.has_history and HISTORY not in spec.without
        self.history_dropout = spec.history_dropout if history and spec.negatives != "none" else 0.0
        num_items = schema.feature(ITEM_ID).num_rows if schema.has_items else 1
        self.register_buffer("log_proposal", torch.zeros(num_items), persistent=False)  # uniform until `learn_frequencies`
        features = used(schema, history=history, without=spec.without)
        self.names = {side: [f.name for f in features if (f.side == "item") == (side == "item")] for side in ("user", "item")}
        read = [place for place, feature in enumerate(schema.dense) if feature.name not in spec.without]
        self.read = None if len(read) == len(schema.dense) else read  # places of dense features; None: all
        self.dense = {
            side: [place for place in schema.dense_on(*sides) if place in read]
            for side, sides in (("user", ("user", "context")), ("item", ("item",)))
        }
        self.wide = spec.first_order  # every value of a category has a weight of its own beside its embedding
        self.ebc = collection(self._tables(features, spec.init_std))
        num_dense = len(read)
        self.num_features, self.num_dense = len(features), num_dense
        # without dense features a learned vector takes their place in the interaction
        self.bottom = mlp([num_dense, *spec.dense_layers, self.dim], last_linear=False) if num_dense else nn.Identity()
        self.stand_in = None if num_dense else nn.Parameter(torch.zeros(1, self.dim))
        self.from_dense = nn.Linear(num_dense, self.head.outputs, bias=False) if self.wide and num_dense else None
        self.from_wide = nn.Linear(WIDE_DIM, self.head.outputs, bias=False) if self.wide else None
        if self.from_wide is not None:
            nn.init.ones_(self.from_wide.weight)
        if self.from_dense is not None:
            nn.init.zeros_(self.from_dense.weight)
        # dense features come in schema order; states keep that order within each side
        order = torch.tensor(self.dense["user"] + self.dense["item"], dtype=torch.long).argsort()
        self.register_buffer("dense_order", order, persistent=False)

    def _tables(self, features: tuple[Categorical, ...], init_std: float) -> list[object]:
        ordered = sorted(features, key=lambda f: f.side == "item")  # the order of embeddings in `score`
        wide = [table(f, WIDE_DIM, 0.0, WIDE + f.name) for f in ordered] if self.wide else []
        return [*(table(f, self.dim, init_std) for f in ordered), *wide]

    def interact(self, every: Tensor) -> Tensor:
        """Logits [B, O] of embeddings [B, 1 + F, D]: of all dense features together, then of each categorical one."""
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
        batch = self.prepare(batch)
        pooled, real = self.embed(batch), len(batch.label) - batch.sampled
        users, items = self.user_state(pooled, batch)[:real], self.item_state(pooled, batch)
        return choice_loss(self, users, items, batch, batch.whole, self.num_negatives, self.log_proposal)

    def score(self, users: Tensor, items: Tensor) -> Tensor:
        cut_u, cut_i = self.dim * len(self.names["user"]), self.dim * len(self.names["item"])
        more = WIDE_DIM if self.wide else 0
        sides = [(users[:, :cut_u], self.names["user"]), (items[:, :cut_i], self.names["item"])]
        given = torch.cat([users[:, cut_u + more :], items[:, cut_i + more :]], dim=1)[:, self.dense_order] if self.num_dense else None
        first = users[:, cut_u : cut_u + more] + items[:, cut_i : cut_i + more] if self.wide else None
        return self._logits(len(users), given, [part.view(len(part), len(names), self.dim) for part, names in sides], first)

    def forward(self, batch: Batch) -> Tensor:
        """As `score` of both states, without building them, which saves some copies of all embeddings."""
        looked_up = self.look_up(batch)
        names, pooled = [*self.names["user"], *self.names["item"]], by_table(looked_up)
        first = None
        if self.wide:
            first = torch.stack([part.sum(1) for part in self._parts([WIDE + n for n in names], looked_up, pooled, batch)]).sum(0)
        dense = batch.dense if self.read is None else batch.dense[:, self.read]
        return self._logits(len(batch.label), dense if self.num_dense else None, self._parts(names, looked_up, pooled, batch), first)

    def _parts(self, names: list[str], looked_up: list[KeyedTensor], pooled: Pooled, batch: Batch) -> list[Tensor]:
        """Embeddings [B, some, width] in the order of the tables: whole parts of the lookup where they fit, else one by one."""
        bags = {HISTORY, WIDE + HISTORY}
        blocks = {tuple(keys): part.values() for part in looked_up if not bags & set(keys := tables_of(part))}
        blocks |= {(name,): scale_history(pooled[name], batch.sparse) if name in bags else pooled[name] for name in names}
        parts: list[Tensor] = []
        while names:
            tables, block = next((tables, block) for tables, block in blocks.items() if names[: len(tables)] == list(tables))
            parts.append(block.view(-1, len(tables), block.shape[1] // len(tables)))
            names = names[len(tables) :]
        return parts

    def _logits(self, rows: int, dense: Tensor | None, parts: list[Tensor], first: Tensor | None) -> Tensor:
        """Of dense features [B, dense features], embeddings [B, some, D], together [B, F, D], and first-order weights [B, WIDE_DIM]."""
        if self.stand_in is not None:
            deep = self.stand_in.expand(rows, -1)
        else:
            deep = self.bottom(dense)
        logits = self.interact(torch.cat([deep[:, None], *parts], dim=1))
        if self.from_wide is not None:
            logits = logits + self.from_wide(first)
        return logits if self.from_dense is None or dense is None else logits + self.from_dense(dense)


def _start_at(layer: nn.Module, task: Task) -> None:
    """A regression starts by predicting the mean of train."""
    if task.output == "regression" and task.mean is not None:
        nn.init.constant_(layer.bias, task.mean)  # type: ignore[arg-type]


class DLRMRanker(FeatureRanker):
    """Dot products of all pairs of embeddings, then an MLP."""

    def __init__(self, spec: "DLRMSpec", schema: FeatureSchema, task: Task) -> None:
        super().__init__(spec, schema, task)
        self.dropout = nn.Dropout(spec.dropout)
        pairs = (self.num_features + 1) * self.num_features // 2
        self.over = OverArch(in_features=self.dim + pairs, layer_sizes=[*spec.over_layers, self.head.outputs])
        _start_at(self.over.model[-1], task)

    def interact(self, every: Tensor) -> Tensor:
        return self.over(self.dropout(torch.cat([every[:, 0], pair_products(every)], dim=1)))


class DCNRanker(FeatureRanker):
    """Low-rank cross layers over all embeddings, then an MLP."""

    def __init__(self, spec: "DLRMDCNSpec", schema: FeatureSchema, task: Task) -> None:
        super().__init__(spec, schema, task)
        self.dropout = nn.Dropout(spec.dropout)
        width = (self.num_features + 1) * self.dim
        # named as in torchrec's InteractionDCNArch, which older checkpoints hold
        self.interaction = nn.ModuleDict({"crossnet": LowRankCrossNet(width, spec.cross_layers, min(spec.low_rank, width))})
        self.over = OverArch(in_features=width, layer_sizes=[*spec.over_layers, self.head.outputs])
        _start_at(self.over.model[-1], task)

    def interact(self, every: Tensor) -> Tensor:
        return self.over(self.dropout(self.interaction["crossnet"](every.flatten(1))))


class DeepFMRanker(FeatureRanker):
    """First order + dot products of all pairs, summed + an MLP over all embeddings: eq. 1 to 4 of the paper."""

    def __init__(self, spec: "DeepFMSpec", schema: FeatureSchema, task: Task) -> None:
        super().__init__(spec, schema, task)
        width = (self.num_features + 1) * self.dim
        # torchrec's own DeepFM ends in a sigmoid, and its FactorizationMachine multiplies every coordinate with every other
        self.deep = nn.Sequential(nn.Dropout(spec.dropout), mlp([width, *spec.deep_layers, self.head.outputs]))
        self.from_pairs = nn.Linear(1, self.head.outputs, bias=False)
        nn.init.ones_(self.from_pairs.weight)
        _start_at(self.deep[1][-1], task)  # type: ignore[index]

    def interact(self, every: Tensor) -> Tensor:
        return self.from_pairs(sum_of_pairs(every)) + self.deep(every.flatten(1))


def pair_products(every: Tensor) -> Tensor:
    """Dot products of all pairs of vectors, each once: [B, N, D] to [B, N (N - 1) / 2], in the order of the pairs (0, 1), (0, 2) ...

    Naumov et al., "Deep learning recommendation model for personalization and recommendation systems", 2019, section 2.1.4.
    """
    return _PairProducts.apply(every)


class _PairProducts(torch.autograd.Function):
    """Written by hand, since the gradient of a product with itself is one product, where autograd makes two and adds them."""

    @staticmethod
    def forward(ctx: FunctionCtx, every: Tensor) -> Tensor:
        ctx.save_for_backward(every)
        count = every.shape[1]
        first, second = torch.triu_indices(count, count, 1, device=every.device)
        return torch.bmm(every, every.transpose(1, 2)).flatten(1).index_select(1, first * count + second)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        (every,) = ctx.saved_tensors
        count = every.shape[1]
        first, second = torch.triu_indices(count, count, 1, device=every.device)
        of_pair = torch.zeros(count, count, dtype=torch.long, device=every.device)
        of_pair[first, second] = of_pair[second, first] = torch.arange(len(first), device=every.device)
        both_ways = gradient.index_select(1, of_pair.flatten()).view(-1, count, count)
        both_ways.diagonal(dim1=1, dim2=2).zero_()
        return torch.bmm(both_ways, every.to(both_ways.dtype))  # under autocast the products are narrower


def sum_of_pairs(every: Tensor) -> Tensor:
    """The sum of the dot products of all pairs of vectors, each once: [B, N, D] to [B, 1].

    Rendle, "Factorization machines", ICDM 2010, lemma 3.1, which needs no product of two of them.
    """
    return _SumOfPairs.apply(every)


class _SumOfPairs(torch.autograd.Function):
    """Written by hand, since autograd goes through all vectors five times for a gradient that is the sum of the others."""

    @staticmethod
    def forward(ctx: FunctionCtx, every: Tensor) -> Tensor:
        total = every.sum(1)
        ctx.save_for_backward(every, total)
        return 0.5 * (total.square().sum(1) - torch.linalg.vector_norm(every.flatten(1), dim=1).square())[:, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        every, total = ctx.saved_tensors
        return torch.sub(total[:, None], every).mul_(gradient[:, :, None])
