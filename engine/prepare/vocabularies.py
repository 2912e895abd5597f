"""The Spark side of preparing: order statistics, split, who and what was met, vocabularies. Each function is one step.

Nothing here collects interactions: what comes back to the driver is counts, histograms and the sizes of vocabularies.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING

from engine.datasets import PerUserSplit
from engine.preview import quantile_place
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import SourceFeature

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

HISTOGRAM_BINS = 16_384
SINGLE_FILE_ROWS = 5_000_000  # a table up to this size is one file, a larger one a folder of files


def order_statistics(times: "DataFrame", shares: Sequence[float], rows: int, low: int, high: int) -> list[int]:
    """Exact quantiles (the higher of two neighbours) of the only column, a long within [low, high].

    Histograms narrow down: a round costs one pass and HISTOGRAM_BINS rows on the driver, whatever the number of rows.
    """

    @cache
    def histogram(low: int, high: int, width: int) -> list[tuple[int, int]]:
        from pyspark.sql import functions as F

        column = F.col(times.columns[0])
        bins = F.floor((column - low) / width).alias("bin")
        return sorted((int(b), n) for b, n in times.where(column.between(low, high)).groupBy(bins).count().collect())

    return [_nth(histogram, quantile_place(share, rows), low, high) for share in shares]


def _nth(histogram: Callable[[int, int, int], list[tuple[int, int]]], place: int, low: int, high: int) -> int:
    """The value at `place` (0-based) in order, known to lie in [low, high]."""
    while low < high:
        width = math.ceil((high - low + 1) / HISTOGRAM_BINS)
        for bin_, count in histogram(low, high, width):
            if place < count:
                low, high = low + bin_ * width, min(high, low + (bin_ + 1) * width - 1)
                break
            place -= count
    return low


def split_by_time(valid_from: int, test_from: int) -> "Column":
    from pyspark.sql import functions as F

    time = F.col("timestamp")
    return F.when(time >= test_from, TEST).when(time >= valid_from, VALID).otherwise(TRAIN)


def split_per_user(rows: "DataFrame", split: PerUserSplit) -> "DataFrame":
    """Rows with `split`: each user's last interactions by (timestamp, item_id) are held out."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    user = Window.partitionBy("user_id")
    order = [name for name in ("timestamp", "item_id", "rating", "row") if name in rows.columns]
    place = F.row_number().over(user.orderBy(*order))
    count = F.count(F.lit(1)).over(user)
    placed = rows.withColumn("_place", place).withColumn("_n", count)
    from_end = F.col("_n") - F.col("_place")
    if "weight" in rows.columns:  # rows of one moment are parts of one rating, which must not stand on two sides
        placed = placed.withColumn("_end", F.min(from_end).over(Window.partitionBy("user_id", "timestamp")))
        from_end = F.col("_end")
    held_test, held_valid = (F.greatest(F.lit(1), F.floor(F.col("_n") * F.lit(share))) for share in (split.test, split.valid))
    name = F.when(F.col("_n") < 3, TRAIN).when(from_end < held_test, TEST).when(from_end < held_test + held_valid, VALID)
    return placed.withColumn("split", name.otherwise(TRAIN)).drop("_place", "_n", "_end")


def everyone(rows: "DataFrame", key: str, known: "DataFrame | None", own: Sequence[str]) -> "DataFrame":
    """Users (or items) of the interactions and of the source's table: how often they were met, and what is known of them.

    Args:
        known: the source's table. own: columns of the interactions that say something of the user (or item).
    """
    from pyspark.sql import functions as F

    liked = F.col("label") > 0
    met = rows.groupBy(key).agg(
        F.count(F.lit(1)).alias("interactions"),
        *(F.count_if(F.col("split") == name).alias(f"{name}_count") for name in (TRAIN, VALID, TEST)),
        F.count_if((F.col("split") == TRAIN) & liked).alias("train_positives"),
        F.count_if((F.col("split") == TEST) & liked).alias("test_positives"),
        *(_latest(rows, name).alias(name) for name in own),
    )
    counts = [name for name in met.columns if name != key and name not in own]
    if known is None:
        return met
    table = known.where(F.col(key).isNotNull()).drop(*own).dropDuplicates([key])
    return met.join(table, key, "full_outer").fillna(0, counts)


def _latest(rows: "DataFrame", name: str) -> "Column":
    """The value that train met last; of users and items that train did not meet, the last value at all."""
    from pyspark.sql import functions as F

    moment = F.struct(F.col("split") == TRAIN, "timestamp", "row")
    return F.max_by(F.col(name), F.when(F.col(name).isNotNull(), moment))


def melt(table: "DataFrame", key: str, features: Sequence[SourceFeature]) -> "DataFrame":
    """key, the counts of each split, name, at, value: every categorical value of every user (or item), the id itself included.

    `at` is the place in a bag; a bag names a value once; what is unknown is left out.
    """
    from pyspark.sql import functions as F

    entries = [F.struct(F.lit(key).alias("name"), F.array(F.col(key)).alias("values"))]
    for f in features:
        if f.kind != "dense":
            entries.append(F.struct(F.lit(f.name).alias("name"), bag(f).alias("values")))
    counts = [f"{name}_count" for name in (TRAIN, VALID, TEST)]
    long = table.select(F.col(key).alias("key"), *counts, F.explode(F.array(*entries)).alias("entry"))
    return long.select("key", *counts, "entry.name", F.posexplode("entry.values").alias("at", "value")).where("value IS NOT NULL")


def bag(f: SourceFeature) -> "Column":
    """The values of a categorical feature as an array of text."""
    from pyspark.sql import functions as F

    text = F.col(f.name).cast("string")
    return F.array_distinct(F.split(text, r"\|")) if f.kind == "multi" else F.array(text)


def context_values(rows: "DataFrame", features: Sequence[SourceFeature]) -> "list[DataFrame]":
    """name, value, train_count of each categorical feature of the interactions, over train; one column is read at a time."""
    from pyspark.sql import functions as F

    train = rows.where(F.col("split") == TRAIN)
    return [
        train.select((F.explode(bag(f)) if f.kind == "multi" else F.col(f.name).cast("string")).alias("value"))
        .where("value IS NOT NULL")
        .groupBy("value")
        .agg(F.count(F.lit(1)).alias("train_count"))
        .select(F.lit(f.name).alias("name"), "value", "train_count")
        for f in features
        if f.kind != "dense"
    ]


def vocabularies(met: Sequence["DataFrame"], scratch: Path, least: Mapping[str, int]) -> "tuple[DataFrame, DataFrame, dict[str, int]]":
    """Number the values of train: rows from 1 by descending count, then value, within each feature.

    All features are numbered together in one distributed sort; where each begins is then taken off its rows. Written to `scratch`
    once, so that a number can never change.

    Args:
        met: tables with name, value, train_count. least: name -> the count from which a value gets a row (1 when absent).

    Returns:
        name, value, count, row of the values that get one; name, value, count of all; feature -> number of rows.
    """
    from pyspark.sql import functions as F

    columns = ("name", "value", "train_count")
    known = reduce(lambda a, b: a.unionByName(b), [table.select(*columns) for table in met]).where("train_count > 0")
    ordered = known.groupBy("name", "value").agg(F.sum("train_count").alias("count")).orderBy("name", F.desc("count"), "value")
    ordered.withColumn("_place", F.monotonically_increasing_id()).write.parquet(str(scratch / "ordered"))
    every = known.sparkSession.read.parquet(str(scratch / "ordered"))
    rare = [(F.col("name") == name) & (F.col("count") < n) for name, n in least.items() if n > 1]
    # within a name the rare ones come last, so that leaving them out moves no number
    vocabulary, sizes = _numbered(every.where(~reduce(lambda a, b: a | b, rare)) if rare else every)
    return vocabulary, every, sizes


def _numbered(ordered: "DataFrame") -> tuple["DataFrame", dict[str, int]]:
    """Turn places (partition << 33 | position in it) into rows from 1 within each name; also the number of rows of each name."""
    from pyspark.sql import functions as F

    partition = F.shiftrightunsigned("_place", 33).cast("int")
    position = F.col("_place").bitwiseAND((1 << 33) - 1)
    # a name may span partitions and a partition may hold several names: both are few
    pieces = ordered.groupBy("name", partition.alias("p")).agg(F.count("*").alias("n"), F.min(position).alias("first")).collect()
    shifts, sizes = {}, dict.fromkeys(sorted({piece["name"] for piece in pieces}), 0)
    for piece in sorted(pieces, key=lambda row: row["p"]):
        shifts[f"{piece['p']} {piece['name']}"] = sizes[piece["name"]] - piece["first"] + 1
        sizes[piece["name"]] += piece["n"]
    shift = F.element_at(F.create_map(*(F.lit(x) for pair in shifts.items() for x in pair)), F.concat_ws(" ", partition, "name"))
    return ordered.select("name", "value", "count", (position + shift).cast("int").alias("row")), sizes


def titled(things: "DataFrame") -> "DataFrame":
    """Items with a title (the id where there is none, then `untitled`) and genres."""
    from pyspark.sql import functions as F

    for name in ("title", "genres"):
        if name not in things.columns:
            things = things.withColumn(name, F.lit(None).cast("string"))
    untitled = F.coalesce(F.trim("title"), F.lit("")) == ""
    return things.withColumn("untitled", untitled).withColumn("title", F.when(untitled, F.col("item_id")).otherwise(F.col("title")))


def record_number(pieces: Sequence[tuple[int, int]]) -> "Column":
    """The number from 1, in reading order, of a row that `monotonically_increasing_id` marked.

    Args:
        pieces: partition, rows in it; a partition may come several times.
    """
    from pyspark.sql import functions as F

    rows: dict[int, int] = {}
    for piece, count in pieces:
        rows[piece] = rows.get(piece, 0) + count
    before, starts = 0, []
    for piece in sorted(rows):
        starts += [F.lit(piece), F.lit(before)]
        before += rows[piece]
    start = F.element_at(F.create_map(*starts), F.shiftrightunsigned("row", 33).cast("int"))
    return (start + F.col("row").bitwiseAND((1 << 33) - 1) + 1).cast("long")
