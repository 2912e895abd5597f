"""Spark: where a split by time falls, and splits by time and per user.

Nothing here collects interactions: only histograms come to the driver.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from engine.datasets import PerUserSplit
from engine.preview import NOT_CONTENT, quantile_place
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import MOMENT

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

HISTOGRAM_BINS = 16_384


def order_statistics(times: "DataFrame", shares: Sequence[float], rows: int, low: int, high: int) -> list[int]:
    """Exact quantiles (the higher of two neighbours) of the only column, a long within [low, high].

    Histograms narrow down: a round costs one pass and HISTOGRAM_BINS rows on the driver, for any number of rows.
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


def split_per_user(rows: "DataFrame", split: PerUserSplit, parts: bool = False) -> "DataFrame":
    """Rows with `split`: each user's last rows are held out, in order of time; of equal times in order of item, rating and a hash of the
    row."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    user = Window.partitionBy("user_id")
    place = F.row_number().over(user.orderBy(*_in_time(rows)))
    count = F.count(F.lit(1)).over(user)
    placed = rows.withColumn("_place", place).withColumn("_n", count)
    from_end = F.col("_n") - F.col("_place")
    if parts:  # rows of one time are parts of one rating, which must stay together
        placed = placed.withColumn("_end", F.min(from_end).over(Window.partitionBy("user_id", "timestamp")))
        from_end = F.col("_end")
    held_test, held_valid = (F.greatest(F.lit(1), F.floor(F.col("_n") * F.lit(share))) for share in (split.test, split.valid))
    name = F.when(F.col("_n") < 3, TRAIN).when(from_end < held_test, TEST).when(from_end < held_test + held_valid, VALID)
    return placed.withColumn("split", name.otherwise(TRAIN)).drop("_place", "_n", "_end")


def split_last(rows: "DataFrame", labelled: "DataFrame", parts: bool = False) -> "DataFrame":
    """Rows with `split`: from each user's last like on it is test, from the like before that on it is valid; rows in the order of
    `split_per_user`.

    Args:
        labelled: the same rows with `label`.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    user, liked = Window.partitionBy("user_id"), F.col("label").cast("long")
    newest_first = user.orderBy(*(one.desc() for one in _in_time(rows))).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    placed = labelled.withColumn("_left", F.sum(liked).over(newest_first)).withColumn("_likes", F.sum(liked).over(user))
    left = F.col("_left")  # likes of the user from this row on
    if parts:
        left = F.min(left).over(Window.partitionBy("user_id", "timestamp"))
    name = F.when(F.col("_likes") < 3, TRAIN).when(left <= 1, TEST).when(left == 2, VALID).otherwise(TRAIN)
    return placed.withColumn("split", name).select(*(f"`{name}`" for name in rows.columns if name != "split"), "split")


def _in_time(rows: "DataFrame") -> list["Column"]:
    """The order of a user's rows: by time; of equal times by item, rating and a hash of the row."""
    from pyspark.sql import functions as F

    order = [F.col(name) for name in (*MOMENT, "item_id", "rating") if name in rows.columns]
    return [*order, F.xxhash64(*(f"`{name}`" for name in rows.columns if name not in NOT_CONTENT)), F.col("row")]
