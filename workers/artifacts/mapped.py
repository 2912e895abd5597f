"""Tables that stay in the files of a checkpoint: opening them takes no memory, and looking up reads the rows that are asked for."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MappedPart(NamedTuple):
    """What one rank wrote of a table, as a view of its file."""

    row: int  # the first
    column: int
    weight: Tensor  # [rows, columns]


class MappedTable(nn.Module):
    """In place of an `nn.EmbeddingBag` that learns nothing more; L ids, B bags, D width."""

    def __init__(self, bag: nn.EmbeddingBag, parts: list[MappedPart]) -> None:
        super().__init__()
        self.rows, self.width, self.mode, self.parts = bag.num_embeddings, bag.embedding_dim, bag.mode, parts

    def forward(self, input: Tensor, offsets: Tensor, per_sample_weights: Tensor | None = None) -> Tensor:
        """Pooled embeddings [B, D] of ids [L] in bags that begin at offsets [B + 1]; IndexError where an id is no row."""
        if input.numel() and not 0 <= int(input.min()) <= int(input.max()) < self.rows:
            raise IndexError(f"Ids from {int(input.min())} to {int(input.max())} of a table that has the rows 0 to {self.rows - 1}.")
        weight = self.parts[0].weight
        if len(self.parts) > 1:
            weight, input = self._gather(input), torch.arange(len(input))
        return F.embedding_bag(input, weight, offsets, mode=self.mode, per_sample_weights=per_sample_weights, include_last_offset=True)

    def _gather(self, ids: Tensor) -> Tensor:
        """The rows of some ids, put together from their parts: [L, D]."""
        found = torch.empty(len(ids), self.width)
        for row, column, weight in self.parts:
            here = torch.nonzero((ids >= row) & (ids < row + len(weight)))[:, 0]
            found[here, column : column + weight.shape[1]] = weight[ids[here] - row]
        return found
