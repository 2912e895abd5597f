"""The records of a plan."""

from workers.specs import FeatureSchema, Spec
from workers.training import PlannedTable


class RankLoad(Spec):
    """What one rank holds and does."""

    rank: int
    table_bytes: int
    state_bytes: int  # of the tables' optimizer
    step_bytes: int  # embeddings of a step, by TorchRec's planner
    lookups: float  # ids of a step

    @property
    def bytes(self) -> int:
        return self.table_bytes + self.state_bytes + self.step_bytes


class Fewest(Spec):
    """The fewest devices whose memory is enough; `devices` is None where no number of them up to the most is."""

    devices: int | None
    hosts: int | None = None
    why: str = ""  # fewer do not do, or none does


class Storage(Spec):
    """Bytes on disk."""

    checkpoint_bytes: int  # with the states of optimizers
    checkpoints_bytes: int  # all that a run keeps at a time
    dataset_bytes: int | None  # None: the manifest does not list its files
    row_bytes: float | None  # of a row in the blocks that are trained on, measured
    index_bytes: int | None  # None: the model does not retrieve by a vector index
    index_kind: str = ""


class Cost(Spec):
    """Hours and money of a training."""

    rows: int  # of train that the model learns from
    epochs: int
    rows_per_s: float  # of one device
    run_id: str | None  # that measured it; None: given by hand
    hours: float
    device_hours: float
    money: float | None  # None: no price is given


class Quality(Spec):
    """What a run reached on the data that there is."""

    run_id: str
    title: str
    rows: int  # of its dataset
    metrics: dict[str, float]


class Plan(Spec):
    """A plan. Where it does not fit, `why_not` says so, and there are no tables and no ranks."""

    title: str
    shape: FeatureSchema
    interactions: int
    parameters: int
    device: str  # GPU, or CPU process
    devices: int
    hosts: int
    memory_bytes: int  # of a device
    reserved_bytes: int  # of a device: not for tables
    tables: tuple[PlannedTable, ...] = ()  # the largest first
    ranks: tuple[RankLoad, ...] = ()
    why_not: str | None = None
    fewest: Fewest
    storage: Storage
    cost: Cost | None = None
    quality: Quality | None = None
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def fullest(self) -> RankLoad | None:
        """The rank that holds most."""
        return max(self.ranks, key=lambda one: one.bytes, default=None)

    @property
    def balance(self) -> float | None:
        """Bytes of the fullest rank over the mean of all; 1 where all are alike."""
        mean = sum(one.bytes for one in self.ranks) / max(1, len(self.ranks))
        return self.fullest.bytes / mean if self.fullest and mean else None

    @property
    def lookup_balance(self) -> float | None:
        """Lookups of the busiest rank over the mean of all."""
        mean = sum(one.lookups for one in self.ranks) / max(1, len(self.ranks))
        return max(one.lookups for one in self.ranks) / mean if mean else None
