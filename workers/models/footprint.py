"""How large a model is, known before it is built and without torch: each spec tells it, and a test builds the network and counts."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

FLOAT = 4  # bytes of a weight


class TableSize(NamedTuple):
    """A table of a model: embeddings, weights of pairs, factors."""

    name: str
    rows: int
    width: int

    @property
    def parameters(self) -> int:
        return self.rows * self.width


class Footprint(NamedTuple):
    """The size of a model on a dataset."""

    tables: tuple[TableSize, ...]
    dense: int = 0  # parameters outside the tables
    working_bytes: int = 0  # memory that a fit takes beside what is stored

    @property
    def parameters(self) -> int:
        return self.dense + sum(table.parameters for table in self.tables)


def linear(sizes: Sequence[int]) -> int:
    """Parameters of linear layers with a bias, one after another."""
    return sum((wide + 1) * narrow for wide, narrow in pairwise(sizes))
