"""Embedding tables on a CPU: fbgemm's own module with a faster way through it (`workers.cpu.kernels`).

Weights, optimizer states, plans and checkpoints stay what and where TorchRec keeps them.
"""

from collections.abc import Iterator, Sequence
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

from workers.cpu.kernels import row_wise_adagrad, sorted_keys


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

    def __len__(self) -> int:
        """Embeddings that answer it."""
        return len(self.rows if self.bags is None else self.bags)

    @property
    def bags_or_none(self) -> Tensor:
        """The bags, none where each row is one."""
        return self.rows[:0] if self.bags is None else self.bags

    def below(self, rows: int) -> "Asked":
        """The same of tables that stand that many rows further down."""
        return Asked(self.rows + rows, self.bags) if rows else self

    def find(self, weight: Tensor, mean: bool) -> Tensor:
        """The embeddings among those of a table [R, D]: [L, D], or [B, D] of bags."""
        # bags of one too: fbgemm's kernel, which torch has for bags alone, fetches rows ahead
        starts = torch.arange(len(self.rows)) if self.bags is None else self.bags.cumsum(0) - self.bags
        return F.embedding_bag(self.rows, weight, starts, mode="mean" if mean else "sum")


class CpuTables(SplitTableBatchedEmbeddingBagsCodegen):
    """Several tables under row-wise Adagrad, looked up at once; features are as many, in their order."""

    known_rows: dict[tuple[int, int], Rows]
    share: float  # of a gradient that counts

    @staticmethod
    def take_over(tables: nn.Module) -> bool:
        """Give fbgemm's tables this class where it does what they do; whether it does."""
        if type(tables) is not SplitTableBatchedEmbeddingBagsCodegen:
            return False
        plain = tables.use_cpu and tables.weights_precision == SparseType.FP32 and tables.pooling_mode != PoolingMode.NONE
        one_to_one = list(tables.feature_table_map) == list(range(len(tables.embedding_specs)))
        row_wise = tables.optimizer == EmbOptimType.EXACT_ROWWISE_ADAGRAD and not tables.optimizer_args.weight_decay
        if fits := plain and one_to_one and row_wise:
            tables.__class__, tables.known_rows, tables.share = CpuTables, {}, 1.0
        return fits

    @property
    def mean(self) -> bool:
        return self.pooling_mode == PoolingMode.MEAN

    def forward(self, indices: Tensor, offsets: Tensor, *_: Any, **__: Any) -> Tensor:  # type: ignore[override]
        """Ids of the features one after another, and where the bags begin [F * B + 1], to their pooled embeddings [B, F * D]."""
        bags = offsets.diff().view(len(self.embedding_specs), -1)
        starts, single = [0, *bags.sum(1).cumsum(0).tolist()], (bags == 1).all(1).tolist()
        sizes, widths = [size for size, *_ in self.embedding_specs], [width for _, width, *_ in self.embedding_specs]
        found = []
        for first, last in runs(widths, single):
            ids, lengths = indices[starts[first] : starts[last]], None if single[first] else bags[first]
            found.append(self.look_up(first, last, asked(ids, lengths, self.table_names[first:last], sizes[first:last])))
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def look_up(self, first: int, last: int, asked: Asked) -> Tensor:
        """What the tables from first to before last hold, neighbours of one width: [B, tables * D]."""
        found = _LookUp.apply(self.placeholder_autograd_tensor, self, self.rows(first, last), asked)
        return found.view(-1, (last - first) * found.shape[1])

    def learn(self, tables: Rows, asked: Asked, gradient: Tensor) -> None:
        """A step of the optimizer, in place. gradient: of what `asked.find` gave, contiguous."""
        if self.mean and asked.bags is not None:
            gradient = gradient / asked.bags.clamp(min=1)[:, None]
        rate, eps = float(self.learning_rate_tensor), float(self.optimizer_args.eps)
        row_wise_adagrad(tables.weight.numpy(), tables.seen.numpy(), *asked.keys, gradient.numpy(), self.share, rate, eps)

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


def runs(widths: list[int], single: list[bool]) -> Iterator[tuple[int, int]]:
    """First and last + 1 of neighbouring features that are looked up at once: of one width, with one id in each row."""
    first = 0
    for last in range(1, len(widths) + 1):
        if last == len(widths) or not (single[first] and single[last] and widths[first] == widths[last]):
            yield first, last
            first = last


def asked(ids: Tensor, lengths: Tensor | None, names: Sequence[str], sizes: Sequence[int]) -> Asked:
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
        ids = (ids + torch.tensor([0, *accumulate(sizes[:-1])])[:, None]).T
    return Asked(ids.flatten(), None if lengths is None else lengths.long())


class _LookUp(torch.autograd.Function):
    """Embeddings of neighbouring tables; the backward updates them, and no gradient leaves it."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, kernel: CpuTables, rows: Rows, asked: Asked) -> Tensor:
        # anchor: any tensor that wants a gradient, so that there is a backward
        ctx.kernel, ctx.rows, ctx.asked = kernel, rows, asked
        return asked.find(rows.weight, kernel.mean)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, ...]:
        ctx.kernel.learn(ctx.rows, ctx.asked, gradient.contiguous())
        return (None,) * 4
