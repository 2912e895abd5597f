"""The Spark side of preparing: order statistics, split, vocabularies, encoded tables, history. Each function is one step.

Nothing here collects interactions: what comes back to the driver is counts, histograms and the sizes of vocabularies.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING

from engine.preview import quantile_place
from engine.sources import SourceFeature
from engine.specs import PerUserSplit
from workers.results import FEATURE, TEST, TRAIN, VALID
from workers.specs import HISTORY, ITEM_ID, USER_ID

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
    place = F.row_number().over(user.orderBy("timestamp", "item_id", "rating"))
    count = F.count(F.lit(1)).over(user)
    placed = rows.withColumn("_place", place).withColumn("_n", count)
    from_end = F.col("_n") - F.col("_place")
    held_test, held_valid = (F.greatest(F.lit(1), F.floor(F.col("_n") * F.lit(share))) for share in (split.test, split.valid))
    name = F.when(F.col("_n") < 3, TRAIN).when(from_end < held_test, TEST).when(from_end < held_test + held_valid, VALID)
    return placed.withColumn("split", name.otherwise(TRAIN)).drop("_place", "_n")


def everyone(rows: "DataFrame", key: str, known: "DataFrame | None") -> "DataFrame":
    """Users (or items) of the interactions and of the source's table: how often they were met, and the table's columns."""
    from pyspark.sql import functions as F

    train, liked = F.col("split") == TRAIN, F.col("label") > 0
    met = rows.groupBy(key).agg(
        F.count(F.lit(1)).alias("interactions"),
        F.count_if(train).alias("train_count"),
        F.count_if(train & liked).alias("train_positives"),
        F.count_if((F.col("split") == TEST) & liked).alias("test_positives"),
    )
    counts = [name for name in met.columns if name != key]
    if known is None:
        return met
    return met.join(known.where(F.col(key).isNotNull()).dropDuplicates([key]), key, "full_outer").fillna(0, counts)


def melt(table: "DataFrame", key: str, features: Sequence[SourceFeature]) -> "DataFrame":
    """key, train_count, name, at, value: every categorical value of every user (or item), the id itself included.

    `at` is the place in a bag; a bag names a value once; what is unknown is left out.
    """
    from pyspark.sql import functions as F

    entries = [F.struct(F.lit(key).alias("name"), F.array(F.col(key)).alias("values"))]
    for f in features:
        if f.kind != "dense":
            values = F.array_distinct(F.split(f.name, r"\|")) if f.kind == "multi" else F.array(F.col(f.name).cast("string"))
            entries.append(F.struct(F.lit(f.name).alias("name"), values.alias("values")))
    long = table.select(F.col(key).alias("key"), "train_count", F.explode(F.array(*entries)).alias("entry"))
    return long.select("key", "train_count", "entry.name", F.posexplode("entry.values").alias("at", "value")).where("value IS NOT NULL")


def vocabularies(melted: Sequence["DataFrame"], scratch: Path) -> tuple["DataFrame", dict[str, int]]:
    """name, value, count, row: for each feature the values of train, rows from 1 by descending count, then value; and their number.

    All features are numbered together in one distributed sort; where each begins is then taken off its rows. Written to `scratch`
    once, so that a number can never change.
    """
    from pyspark.sql import functions as F

    met = reduce(lambda a, b: a.unionByName(b), melted).where("train_count > 0").groupBy("name", "value")
    ordered = met.agg(F.sum("train_count").alias("count")).orderBy("name", F.desc("count"), "value")
    ordered.withColumn("_place", F.monotonically_increasing_id()).write.parquet(str(scratch / "ordered"))
    return _numbered(melted[0].sparkSession.read.parquet(str(scratch / "ordered")))


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


def moments(table: "DataFrame", features: Sequence[SourceFeature]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of dense features over train rows; (0, 1) when nothing varies or is known."""
    from pyspark.sql import functions as F

    if not features:
        return {}
    sums = []
    for f in features:
        value, weight = F.col(f.name).cast("double"), F.when(F.col(f.name).isNotNull(), F.col("train_count"))
        sums += [F.sum(weight), F.sum(weight * value), F.sum(weight * value * value)]
    row = [float(x or 0) for x in table.agg(*sums).first() or []]
    found = {}
    for place, f in enumerate(features):
        n, total, squares = row[3 * place : 3 * place + 3]
        mean = total / n if n else 0.0
        variance = squares / n - mean * mean if n else 0.0
        found[f.name] = (mean, math.sqrt(variance) if variance > 1e-12 * max(1.0, mean * mean) else 1.0)
    return found


def encode(
    table: "DataFrame",
    key: str,
    rows: "DataFrame",
    features: Sequence[SourceFeature],
    scales: Mapping[str, tuple[float, float]],
) -> "DataFrame":
    """Add `row` and the `feature.` columns: rows of vocabularies (0: not in train), bags of them, standardised numbers.

    Args:
        rows: the melted table with `row`, as `look_up` gives it.
    """
    from pyspark.sql import functions as F

    own = [F.max(F.when(F.col("name") == key, F.col("row"))).alias("row")]
    for f in features:
        here = F.col("name") == f.name
        if f.kind == "single":
            own.append(F.max(F.when(here, F.col("row"))).alias(FEATURE + f.name))
        elif f.kind == "multi":
            own.append(F.sort_array(F.collect_list(F.when(here, F.struct("at", "row"))))["row"].alias(FEATURE + f.name))
    encoded = table.join(rows.groupBy(F.col("key").alias(key)).agg(*own), key, "left").withColumn(FEATURE + key, F.col("row"))
    for f in features:
        column = F.col(f"`{FEATURE + f.name}`")
        if f.kind == "dense":
            column = F.coalesce((F.col(f.name).cast("double") - scales[f.name][0]) / scales[f.name][1], F.lit(0.0)).cast("float")
        else:
            column = _or_empty(column) if f.kind == "multi" else F.coalesce(column, F.lit(0))
        encoded = encoded.withColumn(FEATURE + f.name, column)
    return encoded


def look_up(
    table: "DataFrame", vocabulary: "DataFrame", *, name: str | None = None, column: str = "value", target: str = "row"
) -> "DataFrame":
    """Add `target`, the row of `column` in a vocabulary; 0 where train does not have it. `name`: else the table's own column."""
    from pyspark.sql import functions as F

    known = vocabulary.select(F.col("name").alias("_name"), F.col("value").alias("_value"), F.col("row").alias("_row"))
    same_name = F.col("_name") == (F.col("name") if name is None else F.lit(name))
    joined = table.join(known, same_name & (F.col(column) == F.col("_value")), "left")
    return joined.withColumn(target, F.coalesce("_row", F.lit(0))).drop("_name", "_value", "_row")


def _or_empty(column: "Column") -> "Column":
    from pyspark.sql import functions as F

    return F.coalesce(column, F.array().cast("array<int>"))


def liked_in_train(rows: "DataFrame", most: int) -> "DataFrame":
    """user_id, liked: the last `most` different items (rows) that each user liked in train, most recent last.

    Items liked at the same second stand in order of their id.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    liked = rows.where((F.col("split") == TRAIN) & (F.col("label") > 0))
    once = liked.groupBy("user_id", "item_id", "item").agg(F.max("timestamp").alias("timestamp"))
    newest = Window.partitionBy("user_id").orderBy(F.desc("timestamp"), F.desc("item_id"))
    last = once.withColumn("_age", F.row_number().over(newest)).where(F.col("_age") <= most)
    ordered = F.sort_array(F.collect_list(F.struct((-F.col("_age")).alias("_at"), "item")))
    return last.groupBy("user_id").agg(ordered.alias("_pairs")).select("user_id", F.col("_pairs.item").alias("liked"))


def newest(liked: "Column", most: int) -> "Column":
    """The last `most` entries of a bag; an empty bag when there is none."""
    from pyspark.sql import functions as F

    bag = _or_empty(liked)
    return F.slice(bag, F.greatest(F.size(bag) - most + 1, F.lit(1)), most)


def block_rows(rows: "DataFrame", people: "DataFrame", things: "DataFrame", liked: "DataFrame | None", history: int) -> "DataFrame":
    """Interactions with every encoded feature, under the feature's own name: what goes into the blocks."""
    from pyspark.sql import functions as F

    sides = []
    for table, key in ((people, USER_ID), (things, ITEM_ID)):
        names = [n for n in table.columns if n.startswith(FEATURE) and n not in (FEATURE + HISTORY, FEATURE + key)]
        sides.append(table.select(key, *(F.col(f"`{n}`").alias(n.removeprefix(FEATURE)) for n in names)))
    joined = rows.join(sides[0], USER_ID, "left").join(sides[1], ITEM_ID, "left")
    if liked is not None:
        others = F.when(F.col("split") == TRAIN, F.array_remove("liked", F.col("item"))).otherwise(F.col("liked"))
        joined = joined.join(liked, USER_ID, "left").withColumn(HISTORY, newest(others, history)).drop("liked")
    return joined


def ranking_users(rows: "DataFrame") -> "DataFrame":
    """split, user_id, user, relevant: users known to train and what they liked of the catalogue in valid or test, new to them."""
    from pyspark.sql import functions as F

    held_out = rows.where((F.col("split") != TRAIN) & (F.col("label") > 0) & (F.col("user") > 0) & (F.col("item") > 0))
    met = rows.where(F.col("split") == TRAIN).select("user_id", "item").distinct()
    new = held_out.select("split", "user_id", "user", "item").distinct().join(met, ["user_id", "item"], "left_anti")
    return new.groupBy("split", "user_id", "user").agg(F.sort_array(F.collect_list("item")).alias("relevant"))


def sample_users(eligible: "DataFrame", most: int, seed: int) -> "DataFrame":
    """The first `most` users of each split by a hash of their id, with that hash as `_order`."""
    from pyspark.sql import functions as F

    hashed = eligible.withColumn("_order", F.xxhash64("user_id", F.lit(seed)))
    parts = [hashed.where(F.col("split") == name).orderBy("_order", "user_id").limit(most) for name in (VALID, TEST)]
    return reduce(lambda a, b: a.unionByName(b), parts)


def seen_in_train(rows: "DataFrame", users: "DataFrame") -> "DataFrame":
    """user_id, seen: every item (row) that these users met in train."""
    from pyspark.sql import functions as F

    met = rows.where(F.col("split") == TRAIN).join(users.select("user_id").distinct(), "user_id", "left_semi")
    return met.groupBy("user_id").agg(F.sort_array(F.collect_set("item")).alias("seen"))
