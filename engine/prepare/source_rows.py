"""Spark: from the rows of the source to rows with a split and a label."""

import math
from typing import TYPE_CHECKING

from engine.datasets import QUARANTINE, TimeSplit
from engine.prepare import files, rows, splits
from engine.prepare.results import SINGLE_FILE_ROWS, SPLITS, LabelledRows, Preparation, SourceRows, UsableRows
from engine.preview import CORE, LATER
from engine.sources import Tables
from workers.artifacts import TRAIN
from workers.batches import SPLIT
from workers.prepare import RowReader, schema

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

ROWS_PER_PARTITION = 500_000


def load(preparation: Preparation) -> SourceRows:
    """Start Spark and read every row of the source; rows that cannot be used get a reason.

    Raises:
        ValueError: the source has no row.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    from engine.spark import session

    spec, reading, features = preparation.spec, preparation.reading, preparation.features
    large = preparation.is_large(spec.source.size_hint())
    spark = session(f"recbench prepare {spec.name}", large=large, keeps=True)
    _plan_for(spark, large)
    tables = spec.source.load(spark) if large else Tables(*(table and table.coalesce(1) for table in spec.source.load(spark)))
    raw = tables.interactions.withColumn("row", F.monotonically_increasing_id())
    wanted = from_arrow_schema(schema(reading, features, raw.columns))
    read = preparation.keep(raw.mapInArrow(RowReader(reading, features), wanted), "rows")
    pieces = read.groupBy(F.shiftrightunsigned("row", 33).alias("piece"), "reason").count().collect()
    total = sum(piece["count"] for piece in pieces)
    if not total:
        raise ValueError(f"{spec.source.label} holds no interaction at all; choose another source.")
    writers = math.ceil(total / ROWS_PER_PARTITION)
    large = preparation.is_large(total)
    partitions = max(2, writers) if large else 1  # one partition is never shuffled, which takes longer than what is shuffled
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    _plan_for(spark, large)
    sizes = tuple((int(piece["piece"]), int(piece["count"])) for piece in pieces)
    if reading.time == "order" and "timestamp" not in raw.columns:  # the order of rows is their time
        read = read.withColumn("timestamp", _record_number(sizes))
    return SourceRows(spark, tables, read, total, sizes, writers, partitions)


def _plan_for(spark: "SparkSession", large: bool) -> None:
    for option in ("spark.sql.codegen.wholeStage", "spark.sql.adaptive.enabled"):
        spark.conf.set(option, str(large).lower())
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", 10 << 20 if large else -1)


def split_and_set_aside(preparation: Preparation, source: SourceRows) -> UsableRows:
    """Set aside duplicates under the policy, assign every other row to train, valid or test, and set aside users and items with too few
    train rows; write all rows set aside with their reason.

    Raises:
        ValueError: no row is left, or copies of a row are on both sides of a split.
    """
    from pyspark.sql import functions as F

    spec = preparation.spec
    judged, pairs = rows.set_aside_pairs(source.rows, spec)
    if judged is not source.rows:
        judged = preparation.keep(judged, "sorted_out")
    reasons = {row[0]: row[1] for row in judged.groupBy("reason").count().collect()}
    used = reasons.pop(None, 0)
    _refuse_none(used, reasons)
    split, times = _split(preparation, judged.where(F.col("reason").isNull()).drop("reason", "raw"), used)
    rows.refuse_crossing_copies(split, spec, pairs)
    outside = rows.out_of_core(split, spec)
    if outside is not None and (n := outside.persist().count()):
        reasons[CORE], used = n, used - n
        _refuse_none(used, reasons)
        split = preparation.keep(split.join(rows.few(outside, n), "row", "left_anti"), "core")
        marked = judged.join(rows.few(outside.withColumn("_outside", F.lit(CORE)), n), "row", "left")
        judged = marked.withColumn("reason", F.coalesce("_outside", "reason")).drop("_outside")
    reasons = dict(sorted(reasons.items(), key=lambda pair: -pair[1]))
    if to_see := sum(n for reason, n in reasons.items() if reason != LATER):  # nobody looks there for rows after the cut of a backtest
        _write_quarantine(preparation, source, judged, to_see)
    return UsableRows(split, used, reasons, pairs, times)


def _refuse_none(used: int, reasons: dict[str, int]) -> None:
    if not used:
        said = "; ".join(f"{n:,} rows: {reason}" for reason, n in reasons.items())
        raise ValueError(f"No row is left to use. {said}. Correct the mapping or the data, or lower the minimums.")


def _split(preparation: Preparation, usable: "DataFrame", total: int) -> tuple["DataFrame", tuple[int, int] | None]:
    """Rows with `split`, and where valid and test begin in a split by time."""
    spec = preparation.spec
    if isinstance(spec.split, TimeSplit):
        times = _split_times(usable, spec.split, total)
        return usable.withColumn(SPLIT, splits.split_by_time(*times)), times
    return preparation.keep(rows.split_rows(usable, spec), "split"), None


def _split_times(usable: "DataFrame", split: TimeSplit, total: int) -> tuple[int, int]:
    from pyspark.sql import functions as F

    low, high = usable.agg(F.min("timestamp"), F.max("timestamp")).first() or (0, 0)
    shares = (1 - (split.valid + split.test), 1 - split.test)
    valid_from, test_from = splits.order_statistics(usable.select("timestamp"), shares, total, low, high)
    return valid_from, test_from


def _write_quarantine(preparation: Preparation, source: SourceRows, judged: "DataFrame", total: int) -> None:
    from pyspark.sql import functions as F

    read = F.to_json(F.struct(*rows.content(judged)))  # usable rows, as they were read
    shown = judged.where(F.col("reason").isNotNull() & (F.col("reason") != LATER))
    aside = shown.select("row", "reason", F.coalesce("raw", read).alias("raw"))
    numbered = aside.withColumn("row", _record_number(source.pieces)).repartitionByRange(math.ceil(total / SINGLE_FILE_ROWS), "row")
    files.write_one(numbered.sortWithinPartitions("row"), preparation.staging / QUARANTINE, preparation.scratch)


def _record_number(pieces: tuple[tuple[int, int], ...]) -> "Column":
    """The number from 1, in reading order, of a row that `monotonically_increasing_id` marked.

    Args:
        pieces: partition, rows in it; a partition may come several times.
    """
    from pyspark.sql import functions as F

    counts: dict[int, int] = {}
    for piece, count in pieces:
        counts[piece] = counts.get(piece, 0) + count
    before, starts = 0, []
    for piece in sorted(counts):
        starts += [F.lit(piece), F.lit(before)]
        before += counts[piece]
    start = F.element_at(F.create_map(*starts), F.shiftrightunsigned("row", 33).cast("int"))
    return (start + F.col("row").bitwiseAND((1 << 33) - 1) + 1).cast("long")


def label(preparation: Preparation, usable: UsableRows) -> LabelledRows:
    """Label every row by a rule that takes its statistics from train only.

    Raises:
        ValueError: a split is empty.
    """
    from pyspark.sql import functions as F

    split = usable.rows
    mean = F.avg("rating") if "rating" in split.columns else F.lit(None).cast("double")
    stats = {name: (n, value) for name, n, value in split.groupBy(SPLIT).agg(F.count("*"), mean).collect()}
    sizes = {name: stats.get(name, (0, 0))[0] for name in SPLITS}
    rows.refuse_empty(sizes, preparation.spec)
    labelled, rule = rows.label_rows(split, preparation.spec, stats[TRAIN][1])
    return LabelledRows(labelled, sizes, usable.times, rule)
