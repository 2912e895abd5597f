"""Spark: features as standardised numbers, rows of vocabularies and hashed rows, joined to each interaction."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.datasets import DatasetSpec
from engine.prepare.results import Scale
from engine.prepare.vocabularies import bag
from workers.artifacts import FEATURE
from workers.prepare import MOMENT, Encoder, SourceFeature
from workers.specs import HISTORY, ITEM_ID, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MISSING = "_missing"  # suffix of the dense feature that flags where another is missing
FEW_VALUES, FEW_KEYS = 3_000_000, 300_000  # vocabularies and tables up to this size go to every executor; rows then need no shuffle


def dense(name: str, spec: DatasetSpec) -> "Column":
    """The number that is standardised: as it is, or sign(x) log(1 + |x|)."""
    from pyspark.sql import functions as F

    value = F.col(name).cast("double")
    return F.signum(value) * F.log1p(F.abs(value)) if name in spec.log1p else value


def moments(table: "DataFrame", features: Sequence[SourceFeature], spec: DatasetSpec, weight: "Column") -> dict[str, Scale]:
    """The scale of each dense feature; mean 0 and deviation 1 without a known value, deviation 1 where all are equal.

    Args:
        weight: the number of train interactions of each row of the table.
    """
    from pyspark.sql import functions as F

    wanted = [f for f in features if f.kind == "dense"]
    if not wanted:
        return {}
    sums = []
    for f in wanted:
        value = dense(f.name, spec)
        known = F.when(value.isNotNull(), weight)
        sums += [F.sum(weight), F.sum(known), F.sum(known * value), F.sum(known * value * value)]
    row = [float(x or 0) for x in table.agg(*sums).first() or []]
    scales = {}
    for place, f in enumerate(wanted):
        every, n, total, squares = row[4 * place : 4 * place + 4]
        mean = total / n if n else 0.0
        variance = squares / n - mean * mean if n else 0.0
        std = math.sqrt(variance) if variance > 1e-12 * max(1.0, mean * mean) else 1.0
        scales[f.name] = Scale(mean, std, n < every)
    return scales


def dense_columns(features: Sequence[SourceFeature], scales: Mapping[str, Scale], spec: DatasetSpec, prefix: str) -> "list[Column]":
    """Standardised numbers, 0 where unknown, then the flags of those that are missing in some train rows."""
    from pyspark.sql import functions as F

    numbers, flags = [], []
    for f in features:
        if f.kind == "dense":
            scale = scales[f.name]
            value = (dense(f.name, spec) - scale.mean) / scale.std
            numbers.append(F.coalesce(value, F.lit(0.0)).cast("float").alias(prefix + f.name))
            if flagged(f, scales, spec):
                flags.append(F.isnull(f.name).cast("float").alias(prefix + f.name + MISSING))
    return numbers + flags


def flagged(f: SourceFeature, scales: Mapping[str, Scale], spec: DatasetSpec) -> bool:
    """Whether a dense feature has a second one that flags missing values."""
    return spec.missing_flags and scales[f.name].gaps


def hashed(f: SourceFeature, rows: int) -> "Column":
    """Rows 1..rows of a hashed feature, by Spark's xxhash64; 0, or an empty bag, where it is missing. As `preview.audit.hash_row`."""
    from pyspark.sql import functions as F

    def row(value: "Column") -> "Column":
        return (F.pmod(F.xxhash64(value), F.lit(rows)) + 1).cast("int")

    if f.kind == "multi":
        return or_empty(F.transform(bag(f), row))
    text = F.col(f.name).cast("string")
    return F.when(text.isNotNull(), row(text)).otherwise(F.lit(0))


def encode(
    table: "DataFrame", key: str, rows: "DataFrame", features: Sequence[SourceFeature], scales: Mapping[str, Scale], spec: DatasetSpec
) -> "DataFrame":
    """Add `row` and the `feature.` columns to a table of users or items.

    Args:
        rows: `EntityRows.values` with `row`, from `look_up`.
    """
    from pyspark.sql import functions as F

    known = [f for f in features if f.kind != "dense" and f.name not in spec.hashed]
    own = [F.max(F.when(F.col("name") == key, F.col("row"))).alias("row")]
    for f in known:
        here = F.col("name") == f.name
        if f.kind == "single":
            own.append(F.max(F.when(here, F.col("row"))).alias(FEATURE + f.name))
        else:
            own.append(F.sort_array(F.collect_list(F.when(here, F.struct("at", "row"))))["row"].alias(FEATURE + f.name))
    encoded = table.join(rows.groupBy(F.col("key").alias(key)).agg(*own), key, "left").withColumn(FEATURE + key, F.col("row"))
    filled = [_filled(f) for f in known] + [hashed(f, spec.hash_rows).alias(FEATURE + f.name) for f in features if f.name in spec.hashed]
    others = [f"`{n}`" for n in encoded.columns if n not in {FEATURE + f.name for f in known}]
    return encoded.select(*others, *filled, *dense_columns(features, scales, spec, FEATURE))


def _filled(f: SourceFeature) -> "Column":
    from pyspark.sql import functions as F

    column = F.col(f"`{FEATURE + f.name}`")
    return (or_empty(column) if f.kind == "multi" else F.coalesce(column, F.lit(0))).alias(FEATURE + f.name)


def encode_rows(
    rows: "DataFrame", vocabulary: "DataFrame", sizes: Mapping[str, int], wanted: Mapping[str, str], folder: Path, keep: Sequence[str] = ()
) -> "DataFrame":
    """Interactions with the rows of vocabularies in place of single-valued text.

    Args:
        wanted: column -> target; the vocabulary has the column's name. folder: the vocabularies as files.
        keep: columns that stay next to their rows.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import IntegerType, StructType

    small, room = {}, FEW_VALUES
    for name in sorted(wanted, key=lambda name: sizes.get(name, 0)):
        if sizes.get(name) and (room := room - sizes[name]) >= 0:
            small[name] = wanted[name]
    spent = tuple(name for name in small if name not in keep)
    if small:  # small vocabularies are looked up on the executors; large ones need a join
        files = tuple((name, str(folder / f"{name}.parquet"), target) for name, target in small.items())
        fields = StructType([field for field in rows.schema.fields if field.name not in spent])
        for target in small.values():
            fields = fields.add(target, IntegerType())
        rows = rows.mapInArrow(Encoder(files, spent), fields)
    for name, target in wanted.items():
        if name not in small:
            rows = (
                look_up(rows, vocabulary, name=name, column=name, target=target) if sizes.get(name) else rows.withColumn(target, F.lit(0))
            )
    return rows.drop(*(name for name in wanted if name not in keep))


def context_bags(rows: "DataFrame", vocabulary: "DataFrame", f: SourceFeature, spec: DatasetSpec, target: str) -> "DataFrame":
    """Interactions with a multi-valued feature as a bag of rows of its vocabulary, or of the hashed table."""
    from pyspark.sql import functions as F

    if f.name in spec.hashed:
        return rows.withColumn(target, hashed(f, spec.hash_rows)).drop(f.name)
    own = vocabulary.where(F.col("name") == f.name).select(F.col("value").alias("_value"), F.col("row").alias("_at"))
    values = rows.select("row", F.posexplode(bag(f)).alias("_place", "_value")).where("_value IS NOT NULL")
    pair = F.struct("_place", F.coalesce("_at", F.lit(0)).alias("_at"))
    bags = values.join(own, "_value", "left").groupBy("row").agg(F.sort_array(F.collect_list(pair))["_at"].alias("_bag"))
    return rows.join(bags, "row", "left").withColumn(target, or_empty(F.col("_bag"))).drop("_bag", f.name)


def look_up(
    table: "DataFrame", vocabulary: "DataFrame", *, name: str | None = None, column: str = "value", target: str = "row"
) -> "DataFrame":
    """Add `target`, the row of `column` in a vocabulary; 0 where train does not have it. Without `name`, the table's column `name`."""
    from pyspark.sql import functions as F

    known = vocabulary.select(F.col("name").alias("_name"), F.col("value").alias("_value"), F.col("row").alias("_row"))
    same_name = F.col("_name") == (F.col("name") if name is None else F.lit(name))
    joined = table.join(known, same_name & (F.col(column) == F.col("_value")), "left")
    return joined.withColumn(target, F.coalesce("_row", F.lit(0))).drop("_name", "_value", "_row")


def or_empty(column: "Column") -> "Column":
    """An empty bag in place of null."""
    from pyspark.sql import functions as F

    return F.coalesce(column, F.array().cast("array<int>"))


def beside(rows: "DataFrame", table: "DataFrame", key: str, number: int) -> "DataFrame":
    """Interactions with the encoded features of their user or item, under the features' own names."""
    from pyspark.sql import functions as F

    names = [n for n in table.columns if n.startswith(FEATURE) and n not in (FEATURE + HISTORY, FEATURE + USER_ID, FEATURE + ITEM_ID)]
    if not names:
        return rows
    own = table.select(key, *(F.col(f"`{n}`").alias(n.removeprefix(FEATURE)) for n in names))
    return rows.join(F.broadcast(own) if number <= FEW_KEYS else own, key, "left")


def liked_in(rows: "DataFrame", splits: Sequence[str], most: int) -> "DataFrame":
    """user_id, liked: the last `most` distinct items (rows) that each user of train liked in some splits, most recent last.

    Items liked at the same time are in order of their id.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    time = F.struct(*(name for name in MOMENT if name in rows.columns))
    liked = rows.where(F.col("split").isin(*splits) & (F.col("label") > 0) & (F.col("user") > 0) & (F.col("item") > 0))
    once = liked.groupBy("user_id", "item_id", "item").agg(F.max(time).alias("time"))
    newest = Window.partitionBy("user_id").orderBy(F.desc("time"), F.desc("item_id"))
    last = once.withColumn("_age", F.row_number().over(newest)).where(F.col("_age") <= most)
    ordered = F.sort_array(F.collect_list(F.struct((-F.col("_age")).alias("_at"), "item")))
    return last.groupBy("user_id").agg(ordered.alias("_pairs")).select("user_id", F.col("_pairs.item").alias("liked"))
