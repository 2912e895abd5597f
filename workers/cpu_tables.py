"""Embedding tables on a CPU: TorchRec's own modules with a faster way through them.

fbgemm's kernel for the CPU spends 230 to 410 ns a looked-up row on the backward of a training step; this one 160 to 250, by a vectorised
sort of (row, place) packed into one integer and ATen's own `embedding_bag`. Weights, optimizer states, plans and checkpoints stay what and
where TorchRec keeps them.
"""

from dataclasses import dataclass
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
                kernel.__class__, kernel.known_rows = CpuTables, {}
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
class _Rows:
    """Neighbouring tables of one width as one: views of where fbgemm keeps them."""

    weight: Tensor  # [R, D]
    seen: Tensor  # [R], what row-wise Adagrad sums up
    starts: Tensor  # [T], the first row of each table
    sizes: list[int]
    names: list[str]


class CpuTables(SplitTableBatchedEmbeddingBagsCodegen):
    """Several tables under row-wise Adagrad, looked up at once; features are as many, in their order."""

    known_rows: dict[tuple[int, int], _Rows]

    def forward(self, indices: Tensor, offsets: Tensor, *_: Any, **__: Any) -> Tensor:  # type: ignore[override]
        """Ids of the features one after another, and where the bags begin [F * B + 1], to their pooled embeddings [B, F * D]."""
        lengths = offsets.diff().view(len(self.embedding_specs), -1)
        found = self.look_up(indices, lengths, lengths.sum(1).tolist(), together=True)
        return found[0][1] if len(found) == 1 else torch.cat([part for _, part in found], dim=1)

    def look_up(self, indices: Tensor, lengths: Tensor, counts: list[int], together: bool) -> list[tuple[int, Tensor]]:
        """Neighbouring features and their pooled embeddings: (how many, [B, n * D]), until there are no more.

        Features of one width with one id in each row come together where that is wanted; others come alone.

        Args:
            indices: ids of the features one after another. lengths: [F, B] of their bags. counts: ids of each feature.

        Raises:
            IndexError: an id that is no row of its table.
        """
        single, mean = (lengths == 1).all(1).tolist(), self.pooling_mode == PoolingMode.MEAN
        starts, found, first = [0, *accumulate(counts)], [], 0
        while first < len(single):
            last = first + 1
            while together and last < len(single) and single[first] and single[last] and self._width(last) == self._width(first):
                last += 1
            ids, bags = indices[starts[first] : starts[last]], None if single[first] else lengths[first]
            out = _LookUp.apply(self.placeholder_autograd_tensor, self, self._rows(first, last), ids, bags, mean)
            found.append((last - first, out))
            first = last
        return found

    def _width(self, table: int) -> int:
        return self.embedding_specs[table][1]

    def _rows(self, first: int, last: int) -> _Rows:
        if (first, last) not in self.known_rows:
            width, sizes = self._width(first), [rows for rows, *_ in self.embedding_specs[first:last]]
            at, seen_at, total = self.weights_physical_offsets[first], self.momentum1_physical_offsets[first], sum(sizes)
            self.known_rows[first, last] = _Rows(
                self.weights_host.detach()[at : at + total * width].view(total, width),
                self.momentum1_host.detach()[seen_at : seen_at + total],
                torch.tensor([0, *accumulate(sizes[:-1])]),
                sizes,
                self.table_names[first:last],
            )
        return self.known_rows[first, last]


class AloneTables(ShardedEmbeddingBagCollection):
    """The tables of the only rank: nothing is sent, and what is found is not copied into one tensor."""

    kernels: list[tuple[list[str], list[str], CpuTables]]  # as `_kernels`
    together: bool

    def forward(self, features: KeyedJaggedTensor) -> list[KeyedTensor]:  # type: ignore[override]
        """The pooled embeddings [B, D] of all features, in some parts."""
        names, counts = features.keys(), features.length_per_key()
        values, lengths = features.values(), features.lengths().view(len(names), -1)
        starts, found = [0, *accumulate(counts)], []
        for wanted, keys, kernel in self.kernels:
            places = [names.index(name) for name in wanted]
            first, last = places[0], places[-1] + 1
            if places == list(range(first, last)):
                ids, bags = values[starts[first] : starts[last]], lengths[first:last]
            else:
                ids, bags = torch.cat([values[starts[place] : starts[place + 1]] for place in places]), lengths[places]
            at = 0
            for count, out in kernel.look_up(ids, bags, [counts[place] for place in places], self.together):
                found.append(KeyedTensor(keys[at : at + count], [out.shape[1] // count] * count, out))
                at += count
        return found


class _LookUp(torch.autograd.Function):
    """Embeddings of neighbouring tables; the backward updates them, and no gradient leaves it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, tables: CpuTables, rows: _Rows, ids: Tensor, bags: Tensor | None, mean: bool) -> Tensor:
        # anchor: any tensor that wants a gradient, so that there is a backward
        kinds, width = len(rows.names), rows.weight.shape[1]
        _check(ids, rows)
        if bags is None:
            if kinds > 1:  # row after row, so that the embeddings of one stand side by side
                ids = (ids.view(kinds, -1).T + rows.starts).flatten()
            out = rows.weight.index_select(0, ids).view(-1, kinds * width)
        else:
            out = F.embedding_bag(ids, rows.weight, bags.cumsum(0) - bags, mode="mean" if mean else "sum")
        ctx.tables, ctx.rows, ctx.ids, ctx.bags, ctx.mean = tables, rows, ids, bags, mean
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:
        rows, bags = ctx.rows, ctx.bags
        gradient = gradient.contiguous().view(-1, rows.weight.shape[1])
        if bags is None:
            owner, shares = None, None
        else:
            owner = torch.repeat_interleave(torch.arange(len(bags)), bags)
            shares = bags.to(torch.float32).reciprocal()[owner] if ctx.mean else None
        rate, eps = float(ctx.tables.learning_rate_tensor), ctx.tables.optimizer_args.eps
        row_wise_adagrad(rows.weight, rows.seen, ctx.ids, gradient, owner, shares, rate, eps)
        return (None,) * 6


def row_wise_adagrad(
    weight: Tensor, seen: Tensor, ids: Tensor, gradient: Tensor, owner: Tensor | None, shares: Tensor | None, rate: float, eps: float
) -> None:
    """One step of Adagrad with one sum of squares a row, in place: what fbgemm documents as EmbOptimType.EXACT_ROWWISE_ADAGRAD.

    Args:
        weight: [R, D]. seen: [R] the sums so far.
        ids: [L] the rows that were looked up, any number of times.
        gradient: [B, D], contiguous. owner: [L] whose gradient each has, its own (L = B) where None. shares: [L] how much of it.
    """
    if not len(ids):
        return
    # an integer of row and place sorts with AVX-512, five times faster than torch.sort with its indices
    bits = len(ids).bit_length()
    keys = np.sort((ids.numpy() << bits) | np.arange(len(ids)))
    order, keys = torch.from_numpy(keys & ((1 << bits) - 1)), keys >> bits
    begins = np.flatnonzero(np.diff(keys, prepend=-1))
    rows = torch.from_numpy(keys[begins])
    places = order if owner is None else owner[order]
    summed = F.embedding_bag(
        places, gradient, torch.from_numpy(begins), mode="sum", per_sample_weights=None if shares is None else shares[order]
    )
    squares = torch.linalg.vector_norm(summed, dim=1).square_().div_(weight.shape[1])
    squares += seen.index_select(0, rows)
    seen.index_copy_(0, rows, squares)
    weight.index_add_(0, rows, summed.mul_(squares.sqrt_().add_(eps).reciprocal_().mul_(-rate)[:, None]))


def _check(ids: Tensor, rows: _Rows) -> None:
    """A row too far would be the next table's, or an error of ATen's that names nothing."""
    if not len(ids):
        return
    low, high = torch.aminmax(ids.view(len(rows.names), -1), dim=1)
    for name, size, *ends in zip(rows.names, rows.sizes, low.tolist(), high.tolist(), strict=True):
        for found in ends:
            if not 0 <= found < size:
                raise IndexError(f"Id {found} of {name}, whose table has the rows 0 to {size - 1}.")
