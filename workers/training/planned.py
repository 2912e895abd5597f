"""The plan of a network's tables over ranks, as it is known before any of them is made; without torch."""

from typing import Literal, NamedTuple

from workers.specs import Spec


class Layout(NamedTuple):
    """The ranks that tables are spread over: one for each GPU, or one for each process on CPUs."""

    ranks: int
    of_host: int  # ranks of one host
    device: Literal["cpu", "cuda"]
    memory_bytes: int | None = None  # of a rank; None: what TorchRec assumes, 32 GiB of a GPU, 128 GiB of a process on CPUs


class PlannedPart(Spec):
    """What one rank holds of a table."""

    rank: int
    rows: int
    columns: int
    table_bytes: int
    state_bytes: int  # of the optimizer
    estimate_bytes: int  # by TorchRec's planner: table, states, and what a step looks up and sends
    lookups: float  # ids that a step looks up in it, of all ranks, if all rows are asked for equally often


class PlannedTable(Spec):
    """A table and where its parts go."""

    name: str
    rows: int
    width: int
    sharding: str
    parts: tuple[PlannedPart, ...]


class TablePlan(Spec):
    """Where all tables go, and the memory of a rank that is not for tables."""

    tables: tuple[PlannedTable, ...]
    memory_bytes: int  # of a rank
    reserved_bytes: int  # of a rank: not for tables


class NoPlanError(ValueError):
    """The tables do not fit on the ranks.

    Attributes:
        wanted: bytes of all tables with the states of their optimizer. largest: name and bytes of the
            largest.
        left: bytes of a rank that tables may take. reserved: those that they may not.
    """

    def __init__(self, wanted: int, largest: tuple[str, int], left: int, reserved: int) -> None:
        super().__init__(
            f"Tables of {wanted:,} bytes do not fit on ranks that have {left:,} bytes for them; plan for more memory or ranks."
        )
        self.wanted, self.largest, self.left, self.reserved = wanted, largest, left, reserved
