"""Spark: users and items with their features, and the vocabularies of train: ids and categorical values get rows of embedding tables.

Nothing here collects interactions: only the sizes of vocabularies come to the driver.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.prepare import files
from engine.prepare.results import EntityRows, LabelledRows, Preparation, SourceRows, Vocabularies
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import MOMENT, SHOWN, SourceFeature
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

IN_TABLE = "_in_table"  # of a user or item: true where the source's table has it, else null


def number(preparation: Preparation, source: SourceRows, labelled: LabelledRows) -> Vocabularies:
    """Number the ids and categorical values of train, and write the vocabularies.

    Raises:
        ValueError: the source has no user, no item and no categorical feature.
    """
    from pyspark.sql import functions as F

    spec, reading = preparation.spec, preparation.reading
    users = _entity(preparation, labelled, "user", source.tables.users) if reading.user else None
    items = _entity(preparation, labelled, "item", source.tables.items) if reading.item else None
    values = [one.values for one in (users, items) if one is not None]
    values += context_values(labelled.rows, preparation.features_of("context"))
    if not values:
        raise ValueError("The source names no user, no item and no categorical feature, so there is nothing to learn from; map some.")
    least = {f.name: spec.min_count for f in preparation.features if f.kind != "dense" and f.name not in spec.hashed}
    known, every, sizes = _number_values(values, preparation.scratch, least)
    numbered = known.where(~F.col("name").isin(list(spec.hashed))).persist()
    vocabularies = Vocabularies(users, items, numbered, every.select("name", "value", "count"), sizes)
    by_name = numbered.repartitionByRange(1 if vocabularies.fits_one_file else source.partitions, "name", "row")
    ordered = by_name.sortWithinPartitions("name", "row").select(F.col("name").alias("_name"), "row", "value", "count")
    files.write_parts(ordered, "_name", preparation.staging / "vocabulary", preparation.scratch)
    return vocabularies


def _entity(preparation: Preparation, labelled: LabelledRows, side: Literal["user", "item"], known: "DataFrame | None") -> EntityRows:
    key = {"user": USER_ID, "item": ITEM_ID}[side]
    features, columns = preparation.features_of(side), labelled.rows.columns
    own = [f.name for f in features if f.name in columns]
    own += [name for name in SHOWN if side == "item" and name in columns and name not in own]
    table = everyone(labelled.rows, key, known, own).persist()
    return EntityRows(side, key, table, melt(table, key, features))


def everyone(rows: "DataFrame", key: str, known: "DataFrame | None", own: Sequence[str]) -> "DataFrame":
    """Users (or items) of the interactions and of the source's table: number of interactions, and columns of the source's table.

    Args:
        known: the source's table. own: columns of the interactions that describe the user (or item).
    """
    from pyspark.sql import functions as F

    liked = F.col("label") > 0
    counted = rows.groupBy(key).agg(
        F.count(F.lit(1)).alias("interactions"),
        *(F.count_if(F.col("split") == name).alias(f"{name}_count") for name in (TRAIN, VALID, TEST)),
        F.count_if((F.col("split") == TRAIN) & liked).alias("train_positives"),
        F.count_if((F.col("split") == TEST) & liked).alias("test_positives"),
        *(_latest(name, [column for column in MOMENT if column in rows.columns]).alias(name) for name in own),
    )
    counts = [name for name in counted.columns if name != key and name not in own]
    if known is None:
        return counted
    table = known.where(F.col(key).isNotNull()).drop(*own).dropDuplicates([key]).withColumn(IN_TABLE, F.lit(True))
    return counted.join(table, key, "full_outer").fillna(0, counts)


def _latest(name: str, time: Sequence[str]) -> "Column":
    """The last value in train; for users and items that are not in train, the last value of all; of several at one time the largest."""
    from pyspark.sql import functions as F

    moment = F.struct(F.col("split") == TRAIN, *time, name)
    return F.max_by(F.col(name), F.when(F.col(name).isNotNull(), moment))


def melt(table: "DataFrame", key: str, features: Sequence[SourceFeature]) -> "DataFrame":
    """key, the counts of each split, name, at, value: every categorical value of every user (or item), the id itself included.

    `at` is the place in a bag; a bag has a value once; unknown values are left out.
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


def _number_values(values: Sequence["DataFrame"], scratch: Path, least: Mapping[str, int]) -> "tuple[DataFrame, DataFrame, dict[str, int]]":
    """Number the values of train: rows from 1 by descending count, then value, within each feature.

    All features are numbered together in one distributed sort; the start of each is then subtracted. Written to `scratch`
    once, so that the numbers cannot change.

    Args:
        values: tables with name, value, train_count. least: name -> the count from which a value gets a row (1 when absent).

    Returns:
        name, value, count, row of the values that get one; name, value, count of all; feature -> number of rows.
    """
    from pyspark.sql import functions as F

    columns = ("name", "value", "train_count")
    known = reduce(lambda a, b: a.unionByName(b), [table.select(*columns) for table in values]).where("train_count > 0")
    ordered = known.groupBy("name", "value").agg(F.sum("train_count").alias("count")).orderBy("name", F.desc("count"), "value")
    ordered.withColumn("_place", F.monotonically_increasing_id()).write.parquet(str(scratch / "ordered"))
    every = known.sparkSession.read.parquet(str(scratch / "ordered"))
    rare = [(F.col("name") == name) & (F.col("count") < n) for name, n in least.items() if n > 1]
    # rare values come last within a name, so that leaving them out changes no number
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
