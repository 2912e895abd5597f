"""What of the tables a rank holds."""

from dataclasses import dataclass

from torch import Tensor

from workers.cpu.tables import CpuTables, Rows


@dataclass(frozen=True)
class TableShard:
    """Neighbouring tables of one width in a kernel."""

    kernel: CpuTables | None  # on their own rank
    first: int  # among the kernel's tables
    tables: list[str]
    keys: list[str]  # of the embeddings
    weight: Tensor  # [R, D], wherever they are
    mean: bool

    @property
    def width(self) -> int:
        return self.weight.shape[1]

    @property
    def rows(self) -> Rows:
        assert self.kernel is not None
        return self.kernel.rows(self.first, self.first + len(self.tables))


@dataclass(frozen=True)
class RankTables:
    """What one rank holds for some features: one table a feature, or several, of which each has its own width."""

    rank: int
    features: tuple[str, ...]
    sizes: tuple[int, ...]  # rows of the tables of each
    holds: list[TableShard]
