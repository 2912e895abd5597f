"""Embedding tables on a CPU: TorchRec's own modules with a faster way through them.

fbgemm's kernels for the CPU spend 150 to 400 ns a looked-up row on the backward; here it is 50 to 100, out of a vectorised sort of
(row, place) packed into one integer and ATen's own `embedding_bag`. Weights, optimizer states, plans and checkpoints stay what and
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
        for *_, kernel in _kernels(part):
            if type(kernel) is SplitTableBatchedEmbeddingBagsCodegen and _fits(kernel):
                kernel.__class__ = CpuTables
        if alone and _whole(part):
            part.__class__ = AloneTables
            part.together = together


def _fits(tables: SplitTableBatchedEmbeddingBagsCodegen) -> bool:
    plain = tables.use_cpu and tables.weights_precision == SparseType.FP32 and tables.pooling_mode != PoolingMode.NONE
    one_to_one = list(tables.feature_table_map) == list(range(len(tables.embedding_specs)))
    return plain and one_to_one and tables.optimizer == EmbOptimType.EXACT_ROWWISE_ADAGRAD and not tables.optimizer_args.weight_decay


def _whole(tables: ShardedEmbeddingBagCollection) -> bool:
    uncut = all(type(sharding) is TwPooledEmbeddingSharding for sharding in tables._embedding_shardings)
    return uncut and all(isinstance(kernel, CpuTables) for *_, kernel in _kernels(tables))


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
    sizes: Tensor  # [T]
    names: list[str]


class CpuTables(SplitTableBatchedEmbeddingBagsCodegen):
    """Several tables under row-wise Adagrad, looked up at once; features are as many, in their order."""

    def forward(self, indices: Tensor, offsets: Tensor, *_: Any, **__: Any) -> Tensor:  # type: ignore[override]
        """Ids of the features one after another, and where the bags begin [F * B + 1], to their pooled embeddings [B, F * D]."""
        found = self.look_up(indices, offsets.diff().view(len(self.embedding_specs), -1), together=True)
        return found[0][1] if len(found) == 1 else torch.cat([part for _, part in found], dim=1)

    def look_up(self, indices: Tensor, lengths: Tensor, together: bool) -> list[tuple[int, Tensor]]:
        """Neighbouring features and their pooled embeddings: (how many, [B, n * D]), until there are no more.

        Features of one width with one id in each row come together where that is wanted; others come alone.

        Raises:
            IndexError: an id that is no row of its table.
        """
        batch = lengths.shape[1]
        single = (lengths == 1).all(1).tolist()
        counts = [batch if one else int(bags.sum()) for one, bags in zip(single, lengths, strict=True)]
        ends = list(accumulate(counts))
        found, first = [], 0
        while first < len(single):
            last = first + 1
            while together and last < len(single) and single[first] and single[last] and self._width(last) == self._width(first):
                last += 1
            ids = indices[ends[first] - counts[first] : ends[last - 1]]
            bags = None if single[first] else lengths[first]
            mean = self.pooling_mode == PoolingMode.MEAN
            out = _LookUp.apply(self.placeholder_autograd_tensor, self, self._rows(first, last), ids, bags, mean)
            found.append((last - first, out))
            first = last
        return found

    def _width(self, table: int) -> int:
        return self.embedding_specs[table][1]

    def _rows(self, first: int, last: int) -> _Rows:
        known: dict[tuple[int, int], _Rows] = self.__dict__.setdefault("_known_rows", {})
        if (first, last) not in known:
            width, sizes = self._width(first), [rows for rows, *_ in self.embedding_specs[first:last]]
            at, seen_at, total = self.weights_physical_offsets[first], self.momentum1_physical_offsets[first], sum(sizes)
            known[first, last] = _Rows(
                self.weights_host.detach()[at : at + total * width].view(total, width),
                self.momentum1_host.detach()[seen_at : seen_at + total],
                torch.tensor([0, *accumulate(sizes[:-1])]),
                torch.tensor(sizes),
                (self.table_names or [str(table) for table in range(len(self.embedding_specs))])[first:last],
            )
        return known[first, last]


class AloneTables(ShardedEmbeddingBagCollection):
    """The tables of the only rank: nothing is sent, and what is found is not copied into one tensor."""

    together: bool

    def forward(self, features: KeyedJaggedTensor) -> list[KeyedTensor]:  # type: ignore[override]
        """The pooled embeddings [B, D] of all features, in some parts."""
        names, counts = features.keys(), features.length_per_key()
        values, lengths = features.values(), features.lengths().view(len(names), -1)
        starts, found = [0, *accumulate(counts)], []
        for wanted, keys, kernel in _kernels(self):
            places = [names.index(name) for name in wanted]
            first, last = places[0], places[-1] + 1
            if places == list(range(first, last)):
                ids, bags = values[starts[first] : starts[last]], lengths[first:last]
            else:
                ids, bags = torch.cat([values[starts[p] : starts[p + 1]] for p in places]), lengths[places]
            at = 0
            for count, out in kernel.look_up(ids, bags, self.together):
                found.append(KeyedTensor(keys[at : at + count], [out.shape[1] // count] * count, out))
                at += count
        return found


class _LookUp(torch.autograd.Function):
    """Embeddings of neighbouring tables; the backward updates them, and no gradient leaves it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, tables: CpuTables, rows: _Rows, ids: Tensor, bags: Tensor | None, mean: bool) -> Tensor:
        # anchor: any tensor that wants a gradient, so that there is a backward
        kinds, width = len(rows.names), rows.weight.shape[1]
        if bags is None:
            if kinds > 1:
                ids = ids.view(kinds, -1)
                _check(ids, rows)
                ids = (ids.T + rows.starts).flatten()  # row after row, so that the embeddings of one stand side by side
            out = rows.weight.index_select(0, ids).view(-1, kinds * width)
        else:
            out = F.embedding_bag(ids, rows.weight, _starts(bags), mode="mean" if mean else "sum")
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


def _starts(bags: Tensor) -> Tensor:
    return F.pad(bags.cumsum(0)[:-1], (1, 0))


def _check(ids: Tensor, rows: _Rows) -> None:
    """Of neighbouring tables, a row too far would be another table's."""
    low, high = torch.aminmax(ids, dim=1)
    if bool((low < 0).any()) or bool((high >= rows.sizes).any()):
        worst = int(((low < 0) | (high >= rows.sizes)).nonzero()[0])
        found = int(low[worst]) if low[worst] < 0 else int(high[worst])
        raise IndexError(f"Id {found} of {rows.names[worst]}, whose table has the rows 0 to {int(rows.sizes[worst]) - 1}.")
