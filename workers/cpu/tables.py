"""Embedding tables on a CPU: fbgemm's own module with a faster way through it (`workers.cpu.kernels`).

Weights, optimizer states, plans and checkpoints stay what and where TorchRec keeps them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType, SparseType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import SplitTableBatchedEmbeddingBagsCodegen
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from workers.cpu.kernels import row_wise_adagrad, sorted_keys


@dataclass(frozen=True)
class TableView:
    """Neighbouring tables of one width as one: views of the memory in which fbgemm keeps them."""

    weight: Tensor  # [R, D]
    squares: Tensor  # [R], the sums of row-wise Adagrad


@dataclass(frozen=True)
class Lookup:
    """Rows that are looked up, each for an embedding of its own, or in bags that are pooled."""

    rows: Tensor  # [L] int64
    bags: Tensor | None = None  # [B] lengths, int64; None: each row is a bag

    @cached_property
    def keys(self) -> tuple[np.ndarray, int]:
        """As `kernels.sorted_keys`; made once for all tables of one feature."""
        return sorted_keys(self.rows.numpy(), None if self.bags is None else self.bags.numpy())

    def __len__(self) -> int:
        """Embeddings that it returns."""
        return len(self.rows if self.bags is None else self.bags)

    @property
    def bags_or_none(self) -> Tensor:
        """The bags; an empty tensor where each row is a bag."""
        return self.rows[:0] if self.bags is None else self.bags

    def below(self, rows: int) -> "Lookup":
        """The same lookup in a table that has that many more rows at its top."""
        return Lookup(self.rows + rows, self.bags) if rows else self

    def find(self, weight: Tensor, mean: bool) -> Tensor:
        """The embeddings among those of a table [R, D]: [L, D], or [B, D] of bags."""
        # bags of one too: fbgemm's kernel, which torch has for bags alone, fetches rows ahead
        starts = torch.arange(len(self.rows)) if self.bags is None else self.bags.cumsum(0) - self.bags
        return F.embedding_bag(self.rows, weight, starts, mode="mean" if mean else "sum")


class CpuTables(SplitTableBatchedEmbeddingBagsCodegen):
    """Several tables under row-wise Adagrad, looked up at once; there are as many features, in the same order."""

    views: dict[tuple[int, int], TableView]
    share: float  # of a gradient that counts

    @staticmethod
    def fits(tables: nn.Module) -> bool:
        """Whether this class does all that some tables do."""
        if type(tables) is not SplitTableBatchedEmbeddingBagsCodegen:
            return False
        plain = tables.use_cpu and tables.weights_precision == SparseType.FP32 and tables.pooling_mode != PoolingMode.NONE
        one_to_one = list(tables.feature_table_map) == list(range(len(tables.embedding_specs)))
        row_wise = tables.optimizer == EmbOptimType.EXACT_ROWWISE_ADAGRAD and not tables.optimizer_args.weight_decay
        return bool(plain and one_to_one and row_wise)

    @staticmethod
    def wrap(tables: nn.Module) -> bool:
        """Give fbgemm's tables this class where it fits; returns whether it does."""
        if fits := CpuTables.fits(tables):
            tables.__class__, tables.views, tables.share = CpuTables, {}, 1.0  # type: ignore[assignment]
        return fits

    @property
    def mean(self) -> bool:
        return self.pooling_mode == PoolingMode.MEAN

    def forward(self, indices: Tensor, offsets: Tensor, *_: object, **__: object) -> Tensor:  # type: ignore[override]
        """Ids of the features one after another, and where the bags begin [F * B + 1], to their pooled embeddings [B, F * D]."""
        bags = offsets.diff().view(len(self.embedding_specs), -1)
        starts, single = [0, *bags.sum(1).cumsum(0).tolist()], (bags == 1).all(1).tolist()
        sizes, widths = [size for size, *_ in self.embedding_specs], [width for _, width, *_ in self.embedding_specs]
        embeddings = []
        for first, last in runs(widths, single):
            ids, lengths = indices[starts[first] : starts[last]], None if single[first] else bags[first]
            embeddings.append(self.look_up(first, last, lookup_of(ids, lengths, self.table_names[first:last], sizes[first:last])))
        return embeddings[0] if len(embeddings) == 1 else torch.cat(embeddings, dim=1)

    def look_up(self, first: int, last: int, lookup: Lookup) -> Tensor:
        """Embeddings of the tables from first to before last, neighbours of one width: [B, tables * D]."""
        embeddings = _LookUp.apply(self.placeholder_autograd_tensor, self, self.view(first, last), lookup)
        return embeddings.view(-1, (last - first) * embeddings.shape[1])

    def learn(self, tables: TableView, lookup: Lookup, gradient: Tensor) -> None:
        """A step of the optimizer, in place. gradient: of the embeddings that `lookup.find` returned, contiguous."""
        if self.mean and lookup.bags is not None:
            gradient = gradient / lookup.bags.clamp(min=1)[:, None]
        rate, eps = float(self.learning_rate_tensor), float(self.optimizer_args.eps)
        row_wise_adagrad(tables.weight.numpy(), tables.squares.numpy(), *lookup.keys, gradient.numpy(), self.share, rate, eps)

    def view(self, first: int, last: int) -> TableView:
        """Some neighbouring tables of one width."""
        if (first, last) not in self.views:
            (_, width, *_), total = self.embedding_specs[first], sum(spec[0] for spec in self.embedding_specs[first:last])
            at, squares_at = self.weights_physical_offsets[first], self.momentum1_physical_offsets[first]
            self.views[first, last] = TableView(
                self.weights_host.detach()[at : at + total * width].view(total, width),
                self.momentum1_host.detach()[squares_at : squares_at + total],
            )
        return self.views[first, last]


def runs(widths: list[int], single: list[bool]) -> Iterator[tuple[int, int]]:
    """First and last + 1 of neighbouring features that are looked up at once: of one width, with one id in each row."""
    first = 0
    for last in range(1, len(widths) + 1):
        if last == len(widths) or not (single[first] and single[last] and widths[first] == widths[last]):
            yield first, last
            first = last


def lookup_of(ids: Tensor, lengths: Tensor | None, names: Sequence[str], sizes: Sequence[int]) -> Lookup:
    """Ids of neighbouring tables, one table after another, as rows of all of them, with the embeddings of one row side by side.

    Raises:
        IndexError: an id is no row of its table; it may be one of the next table, and ATen's own error would name neither.
    """
    ids = ids.view(len(names), -1)
    if ids.numel():
        for name, size, *ends in zip(names, sizes, *(ends.tolist() for ends in torch.aminmax(ids, dim=1)), strict=True):
            for end in ends:
                if not 0 <= end < size:
                    raise IndexError(f"Id {end} of {name}, whose table has the rows 0 to {size - 1}.")
    if len(names) > 1:
        ids = (ids + torch.tensor([0, *accumulate(sizes[:-1])])[:, None]).T
    return Lookup(ids.flatten(), None if lengths is None else lengths.long())


class _Context(FunctionCtx):
    kernel: CpuTables
    tables: TableView
    lookup: Lookup


class _LookUp(torch.autograd.Function):
    """Embeddings of neighbouring tables; the backward updates the tables, and no gradient leaves it."""

    @staticmethod
    def forward(ctx: _Context, anchor: Tensor, kernel: CpuTables, tables: TableView, lookup: Lookup) -> Tensor:
        # anchor: any tensor that requires a gradient, so that there is a backward
        ctx.kernel, ctx.tables, ctx.lookup = kernel, tables, lookup
        return lookup.find(tables.weight, kernel.mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor) -> tuple[None, ...]:
        ctx.kernel.learn(ctx.tables, ctx.lookup, gradient.contiguous())
        return (None,) * 4
