"""The results of the steps of preparing: frozen records that later steps read."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from engine.datasets import DatasetSpec
from engine.preview import Pairs, Rule
from engine.sources import Tables
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import Reading, SourceFeature
from workers.specs import FeatureSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SPLITS = (TRAIN, VALID, TEST)
LARGE_CELLS = 10_000_000  # rows times columns; below this, compiling, re-planning and broadcasting cost more time than they save
SINGLE_FILE_ROWS = 5_000_000  # a table up to this size is one file, a larger one a folder of files
SCRATCH = {"compression": "lz4_raw", "parquet.enable.dictionary": "false"}  # written fast, read a few times, thrown away


class Preparation(NamedTuple):
    """What is prepared, and the folder that it is written to."""

    spec: DatasetSpec
    staging: Path
    reading: Reading
    features: tuple[SourceFeature, ...]

    @classmethod
    def of(cls, spec: DatasetSpec, staging: Path) -> "Preparation":
        return cls(spec, staging, spec.source.reading(), spec.source.features())

    @property
    def scratch(self) -> Path:
        return self.staging / ".scratch"

    @property
    def can_rank(self) -> bool:
        return self.reading.user and self.reading.item

    @property
    def has_histories(self) -> bool:
        return bool(self.spec.history) and self.can_rank

    @property
    def sequence(self) -> int:
        """Newest likes in the sequence of a user; 0: no sequences, since the spec wants none or the source has no users, items or times."""
        return self.spec.sequence if self.can_rank and self.reading.time else 0

    def features_of(self, side: str) -> list[SourceFeature]:
        return [f for f in self.features if f.side == side]

    def is_large(self, rows: int) -> bool:
        return rows * (5 + len(self.features)) >= LARGE_CELLS

    def keep(self, table: "DataFrame", name: str) -> "DataFrame":
        """A table that several steps read: in memory while it is small, otherwise in a scratch file, which is read column by column."""
        if not self.is_large(self.spec.source.size_hint()):
            return table.persist()
        table.write.options(**SCRATCH).parquet(str(self.scratch / name))
        return table.sparkSession.read.parquet(str(self.scratch / name))


class SourceRows(NamedTuple):
    """Every row of the source.

    rows: as `workers.prepare.RowReader` reads them, with `reason` and `raw` set for those that cannot be used.
    total: number of rows. pieces: partition and number of rows in it, by which rows are numbered in reading order.
    writers, partitions: how many files large tables get, and how many partitions a shuffle has.
    """

    spark: "SparkSession"
    tables: Tables
    rows: "DataFrame"
    total: int
    pieces: tuple[tuple[int, int], ...]
    writers: int
    partitions: int


class UsableRows(NamedTuple):
    """Rows that are used, with `split`.

    set_aside: reason -> number of rows, the most frequent reason first. pairs: repeated rows among all. times: where valid and test
    begin (unix s) in a split by time.
    """

    rows: "DataFrame"
    total: int
    set_aside: dict[str, int]
    pairs: Pairs
    times: tuple[int, int] | None


class LabelledRows(NamedTuple):
    """Rows with `split` and `label`. sizes: split -> number of rows. times: where valid and test begin (unix s) in a split by time."""

    rows: "DataFrame"
    sizes: dict[str, int]
    times: tuple[int, int] | None
    rule: Rule


class EntityRows(NamedTuple):
    """Every user, or every item.

    table: one row each, with its number of interactions by split and with what the source says of it.
    values: key, number of interactions by split, name, at, value: one row for each of its categorical values.
    """

    side: Literal["user", "item"]
    key: str
    table: "DataFrame"
    values: "DataFrame"


class Vocabularies(NamedTuple):
    """The values that train has of ids and of categorical features.

    rows: name, value, count, row of values that have a row of an embedding table. sizes: name -> number of those rows.
    counts: name, value, count of all values of train, rare and hashed ones among them.
    """

    users: EntityRows | None
    items: EntityRows | None
    rows: "DataFrame"
    counts: "DataFrame"
    sizes: dict[str, int]

    @property
    def entities(self) -> list[EntityRows]:
        return [one for one in (self.users, self.items) if one is not None]

    @property
    def fits_one_file(self) -> bool:
        return sum(self.sizes.values()) <= SINGLE_FILE_ROWS


class Scale(NamedTuple):
    """Mean and standard deviation over train, after log1p where the spec says so; whether some train rows miss the value."""

    mean: float = 0.0
    std: float = 1.0
    gaps: bool = False


class Interactions(NamedTuple):
    """The interactions as written: rows of vocabularies in place of values.

    positives: split -> number of liked rows. cold: "user" or "item" -> number of test rows whose user or item is not in train.
    scales: of dense features of the interactions.
    """

    rows: "DataFrame"
    positives: dict[str, int]
    cold: dict[str, int]
    scales: dict[str, Scale]


class EntityTable(NamedTuple):
    """users.parquet or items.parquet as written. values: `EntityRows.values` with their `row`; total: how many have interactions;
    untitled: how many of these items have no title."""

    table: "DataFrame"
    values: "DataFrame"
    total: int
    scales: dict[str, Scale]
    untitled: int = 0


class EntityTables(NamedTuple):
    users: EntityTable | None
    items: EntityTable | None

    @property
    def scales(self) -> dict[str, Scale]:
        return {name: scale for table in (self.users, self.items) if table for name, scale in table.scales.items()}


class Blocks(NamedTuple):
    """The written blocks: their schema, and the rows of a full block."""

    schema: FeatureSchema
    rows: int


class SequenceCounts(NamedTuple):
    """The written sequences: users, their likes, and older likes that are left out since a user has more than a sequence holds."""

    users: int
    likes: int
    left_out: int


class RankingUsers(NamedTuple):
    """Users to rank for by split: all that qualify, and those in the fixed sample. sets: split -> number of rated sets."""

    qualified: dict[str, int]
    sampled: dict[str, int]
    sets: dict[str, int] | None = None


class Results(NamedTuple):
    """The results of all steps that the audit and the manifest read."""

    source: SourceRows
    usable: UsableRows
    labelled: LabelledRows
    vocabularies: Vocabularies
    interactions: Interactions
    tables: EntityTables
    ranking: RankingUsers | None
    sequences: SequenceCounts | None = None
