"""Which rows of which tables a rank holds."""

from dataclasses import dataclass

from torch import Tensor

from workers.cpu.tables import CpuTables, TableView


@dataclass(frozen=True)
class TableShard:
    """Neighbouring tables of one width in a kernel."""

    kernel: CpuTables | None  # on the rank that holds them
    first: int  # among the kernel's tables
    tables: list[str]
    keys: list[str]  # of the embeddings
    weight: Tensor  # [R, D], on whichever rank
    mean: bool

    @property
    def width(self) -> int:
        return self.weight.shape[1]

    @property
    def view(self) -> TableView:
        assert self.kernel is not None
        return self.kernel.view(self.first, self.first + len(self.tables))


@dataclass(frozen=True)
class RankTables:
    """What one rank holds for some features: one table for each, or several, each of a width of its own."""

    rank: int
    features: tuple[str, ...]
    sizes: tuple[int, ...]  # rows of the tables of each feature
    shards: list[TableShard]
