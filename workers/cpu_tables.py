"""Embedding tables on a CPU: TorchRec's own modules with a faster way through them.

fbgemm's kernel for the CPU spends 230 to 410 ns a looked-up row on the backward of a training step; this one 160 to 250, by a vectorised
sort of (row, place) packed into one integer and ATen's own `embedding_bag`. Weights, optimizer states, plans and checkpoints stay what and
where TorchRec keeps them.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import SplitTableBatchedEmbeddingBagsCodegen
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torchrec.distributed.embeddingbag import ShardedEmbeddingBagCollection
from torchrec.distributed.sharding.tw_sharding import TwPooledEmbeddingSharding
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor, KeyedTensor

from workers.cpu_kernels import row_wise_adagrad, sorted_keys


def quicken(module: nn.Module, alone: bool, together: bool) -> None:
    """Give the tables of a distributed module their fast way where there is one; others stay as they are.

    Args:
        alone: whether no other rank has tables, so that nothing need be sent.
        together: whether the features' embeddings are wanted side by side in one tensor, rather than each on its own.
    """
    for part in module.modules():
        if type(part) is not ShardedEmbeddingBagCollection:
            continue
        kernels = _kernels(part)
        for *_, kernel in kernels:
            if type(kernel) is SplitTableBatchedEmbeddingBagsCodegen and _fits(kernel):
                kernel.__class__, kernel.known_rows, kernel.share = CpuTables, {}, 1.0
        uncut = all(type(sharding) is TwPooledEmbeddingSharding for sharding in part._embedding_shardings)
        if alone and uncut and all(isinstance(kernel, CpuTables) for *_, kernel in kernels):
            part.__class__, part.kernels, part.together = AloneTables, kernels, together


def _fits(tables: SplitTableBatchedEmbeddingBagsCodegen) -> bool:
    plain = tables.use_cpu and tables.weights_precision == SparseType.FP32 and tables.pooling_mode != PoolingMode.NONE
    one_to_one = list(tables.feature_table_map) == list(range(len(tables.embedding_specs)))
    return plain and one_to_one and tables.optimizer == EmbOptimType.EXACT_ROWWISE_ADAGRAD and not tables.optimizer_args.weight_decay


def _kernels(tables: ShardedEmbeddingBagCollection) -> list[tuple[list[str], list[str], Any]]:
    """The features, the names of their embeddings and the kernel of each group of tables."""
    return [
        (config.feature_names(), config.embedding_names(), kernel.emb_module)
        for lookup in (getattr(lookup, "module", lookup) for lookup in tables._lookups)  # replicated tables stand in a wrapper
        for config, kernel in zip(lookup.grouped_configs, lookup._emb_modules, strict=True)
    ]


@dataclass(frozen=True)
class Rows:
    """Neighbouring tables of one width as one: views of where fbgemm keeps them."""

    weight: Tensor  # [R, D]
    seen: Tensor  # [R], what row-wise Adagrad sums up


@dataclass(frozen=True)
class Asked:
    """Rows that are looked up, each for an embedding of its own, or in bags that are pooled."""

    rows: Tensor  # [L] int64
    bags: Tensor | None = None  # [B] lengths, int64; None: each row is one

    @cached_property
    def keys(self) -> tuple[np.ndarray, int]:
        """As `cpu_kernels.sorted_keys`; made once for all tables of one feature."""
        return sorted_keys(self.rows.numpy(), None if self.bags is None else self.bags.numpy())

    def find(self, tables: Rows, mean: bool) -> Tensor:
        """The embeddings: [L, D], or [B, D] of bags."""
        if self.bags is None:
            return tables.weight.index_select(0, self.rows)
        return F.embedding_bag(self.rows, tables.weight, self.bags.cumsum(0) - self.bags, mode="mean" if mean else "sum")

    def learn(self, tables: Rows, gradient: Tensor, kernel: "CpuTables", mean: bool) -> None:
        """A step of the kernel's optimizer, in place; gradient: as what `find` returned."""
        if mean and self.bags is not None:
            gradient = gradient / self.bags.clamp(min=1)[:, None]
        rate, eps = float(kernel.learning_rate_tensor), float(kernel.optimizer_args.eps)
        row_wise_adagrad(tables.weight.numpy(), tables.seen.numpy(), *self.keys, gradient.numpy(), kernel.share, rate, eps)


Known = dict[tuple[Any, ...], Asked]


class CpuTables(SplitTableBatchedEmbeddingBagsCodegen):
    """Several tables under row-wise Adagrad, looked up at once; features are as many, in their order."""

    known_rows: dict[tuple[int, int], Rows]
    share: float  # of a gradient that counts

    def forward(self, indices: Tensor, offsets: Tensor, *_: Any, **__: Any) -> Tensor:  # type: ignore[override]
        """Ids of the features one after another, and where the bags begin [F * B + 1], to their pooled embeddings [B, F * D]."""
        lengths = offsets.diff().view(len(self.embedding_specs), -1)
        places = list(range(len(lengths)))
        found = self.look_up(indices, lengths, lengths.sum(1).tolist(), places, {}, together=True)
        return found[0][1] if len(found) == 1 else torch.cat([part for _, part in found], dim=1)

    def look_up(
        self, indices: Tensor, lengths: Tensor, counts: list[int], places: list[int], known: Known, together: bool
    ) -> list[tuple[int, Tensor]]:
        """Neighbouring features and their pooled embeddings: (how many, [B, n * D]), until there are no more.

        Features of one width with one id in each row come together where that is wanted; others come alone.

        Args:
            indices: ids of the features one after another. lengths: [F, B] of their bags. counts: ids of each feature.
            places: of the features among all of the step. known: what was asked for at some places already; is added to.

        Raises:
            IndexError: an id that is no row of its table.
        """
        starts, found, single = [0, *accumulate(counts)], [], (lengths == 1).all(1).tolist()
        for first, last in runs([width for _, width, *_ in self.embedding_specs], single, together):
            sizes = [size for size, *_ in self.embedding_specs[first:last]]
            where = (*places[first:last], *sizes)
            if where not in known:
                ids, bags = indices[starts[first] : starts[last]], None if single[first] else lengths[first]
                known[where] = asked(ids, bags, self.table_names[first:last], sizes)
            out = _LookUp.apply(self.placeholder_autograd_tensor, self, self.rows(first, last), known[where])
            found.append((last - first, out.view(lengths.shape[1], -1)))
        return found

    def rows(self, first: int, last: int) -> Rows:
        """Of some neighbouring tables of one width."""
        if (first, last) not in self.known_rows:
            (_, width, *_), total = self.embedding_specs[first], sum(spec[0] for spec in self.embedding_specs[first:last])
            at, seen_at = self.weights_physical_offsets[first], self.momentum1_physical_offsets[first]
            self.known_rows[first, last] = Rows(
                self.weights_host.detach()[at : at + total * width].view(total, width),
                self.momentum1_host.detach()[seen_at : seen_at + total],
            )
        return self.known_rows[first, last]


def runs(widths: list[int], single: list[bool], together: bool) -> list[tuple[int, int]]:
    """First and last + 1 of neighbouring features that are looked up at once: of one width, with one id in each row."""
    found, first = [], 0
    for last in range(1, len(widths) + 1):
        if last == len(widths) or not (together and single[first] and single[last] and widths[first] == widths[last]):
            found.append((first, last))
            first = last
    return found


def asked(ids: Tensor, lengths: Tensor | None, names: list[str], sizes: list[int]) -> Asked:
    """Ids of neighbouring tables, one after another, as rows of all of them, so that the embeddings of one row stand side by side.

    Raises:
        IndexError: an id that is no row of its table, but perhaps of the next one, or an error of ATen's that names nothing.
    """
    ids = ids.view(len(names), -1)
    if ids.numel():
        for name, size, *ends in zip(names, sizes, *(ends.tolist() for ends in torch.aminmax(ids, dim=1)), strict=True):
            for found in ends:
                if not 0 <= found < size:
                    raise IndexError(f"Id {found} of {name}, whose table has the rows 0 to {size - 1}.")
    if len(names) > 1:
        ids = ids.T + torch.tensor([0, *accumulate(sizes[:-1])])
    return Asked(ids.flatten(), None if lengths is None else lengths.long())


class AloneTables(ShardedEmbeddingBagCollection):
    """The tables of the only rank: nothing is sent, and what is found is not copied into one tensor."""

    kernels: list[tuple[list[str], list[str], CpuTables]]  # as `_kernels`
    together: bool

    def forward(self, features: KeyedJaggedTensor) -> list[KeyedTensor]:  # type: ignore[override]
        """The pooled embeddings [B, D] of all features, in some parts."""
        names, counts = features.keys(), features.length_per_key()
        values, lengths = features.values(), features.lengths().view(len(names), -1)
        starts, found, known = [0, *accumulate(counts)], [], Known()
        for wanted, keys, kernel in self.kernels:
            places = [names.index(name) for name in wanted]
            first, last = places[0], places[-1] + 1
            if places == list(range(first, last)):
                ids, bags = values[starts[first] : starts[last]], lengths[first:last]
            else:
                ids, bags = torch.cat([values[starts[place] : starts[place + 1]] for place in places]), lengths[places]
            at = 0
            for count, out in kernel.look_up(ids, bags, [counts[place] for place in places], places, known, self.together):
                found.append(KeyedTensor(keys[at : at + count], [out.shape[1] // count] * count, out))
                at += count
        return found


class _LookUp(torch.autograd.Function):
    """Embeddings of neighbouring tables; the backward updates them, and no gradient leaves it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, kernel: CpuTables, rows: Rows, asked: Asked) -> Tensor:
        # anchor: any tensor that wants a gradient, so that there is a backward
        ctx.kernel, ctx.rows, ctx.asked = kernel, rows, asked
        return asked.find(rows, kernel.pooling_mode == PoolingMode.MEAN)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:
        ctx.asked.learn(ctx.rows, gradient.contiguous(), ctx.kernel, ctx.kernel.pooling_mode == PoolingMode.MEAN)
        return (None,) * 4
