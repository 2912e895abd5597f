"""Spark: users.parquet and items.parquet, with what pages show and with every encoded feature."""

from typing import TYPE_CHECKING

from engine.datasets import KNOWN_AT_TEST
from engine.prepare import features, files
from engine.prepare.jobs import side_by_side
from engine.prepare.results import EntityRows, EntityTable, EntityTables, Interactions, Preparation, SourceRows, Vocabularies
from engine.prepare.vocabularies import IN_TABLE
from workers.artifacts import FEATURE, ITEMS, USERS
from workers.specs import HISTORY, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INTERNAL = ("valid_count", "test_count", "untitled", IN_TABLE)


def write(preparation: Preparation, source: SourceRows, vocabularies: Vocabularies, interactions: Interactions) -> EntityTables:
    """Write both tables, as far as the source has users and items."""
    with side_by_side(preparation) as pool:
        items = pool.submit(_write_items, preparation, source, vocabularies, vocabularies.items) if vocabularies.items else None
        users = _write_users(preparation, source, vocabularies, interactions, vocabularies.users) if vocabularies.users else None
        return EntityTables(users, items.result() if items else None)


def _write_users(
    preparation: Preparation, source: SourceRows, vocabularies: Vocabularies, interactions: Interactions, users: EntityRows
) -> EntityTable:
    from pyspark.sql import functions as F

    scales, values = _scales(preparation, users), features.look_up(users.values, vocabularies.rows).persist()
    table = features.encode(users.table, users.key, values, preparation.features_of("user"), scales, preparation.spec)
    if preparation.has_histories:
        liked = features.liked_in(interactions.rows, KNOWN_AT_TEST, preparation.spec.history)
        table = table.join(liked.withColumnRenamed("liked", FEATURE + HISTORY), USER_ID, "left")
        table = table.withColumn(FEATURE + HISTORY, features.or_empty(F.col(f"`{FEATURE + HISTORY}`")))
    rest = [f"`{n}`" for n in table.columns if n not in (users.key, "row", "train_count", *INTERNAL)]
    written = _write(preparation, source, vocabularies, table.select(users.key, "row", *rest), users.key, USERS)
    return EntityTable(written, values, users.table.where("interactions > 0").count(), scales)


def _write_items(preparation: Preparation, source: SourceRows, vocabularies: Vocabularies, items: EntityRows) -> EntityTable:
    scales, values = _scales(preparation, items), features.look_up(items.values, vocabularies.rows).persist()
    table = features.encode(titled(items.table), items.key, values, preparation.features_of("item"), scales, preparation.spec)
    first = [items.key, "row", "title", "genres"]
    rest = [f"`{n}`" for n in table.columns if n not in (*first, "interactions", "test_positives", *INTERNAL)]
    untitled = table.where("untitled AND interactions > 0").count()
    written = _write(preparation, source, vocabularies, table.select(*first, *rest), items.key, ITEMS)
    return EntityTable(written, values, items.table.where("interactions > 0").count(), scales, untitled)


def _scales(preparation: Preparation, entity: EntityRows) -> dict[str, features.Scale]:
    from pyspark.sql import functions as F

    return features.moments(entity.table, preparation.features_of(entity.side), preparation.spec, F.col("train_count"))


def _write(
    preparation: Preparation, source: SourceRows, vocabularies: Vocabularies, table: "DataFrame", key: str, name: str
) -> "DataFrame":
    """Write a table in order of `row`, what train does not have last; read it back, so that nothing is computed twice."""
    from pyspark.sql import functions as F

    order = [F.col("row") == 0, F.col("row"), F.col(key)]
    parted = table.repartition(1) if vocabularies.fits_one_file else table.repartitionByRange(source.partitions, *order)
    files.write_one(parted.sortWithinPartitions(*order), preparation.staging / name, preparation.scratch)
    return source.spark.read.parquet(str(preparation.staging / name))


def titled(items: "DataFrame") -> "DataFrame":
    """Items with a title (the id where there is none, then `untitled`) and genres."""
    from pyspark.sql import functions as F

    for name in ("title", "genres"):
        if name not in items.columns:
            items = items.withColumn(name, F.lit(None).cast("string"))
    untitled = F.coalesce(F.trim("title"), F.lit("")) == ""
    return items.withColumn("untitled", untitled).withColumn("title", F.when(untitled, F.col("item_id")).otherwise(F.col("title")))
