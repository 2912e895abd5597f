"""Spark: interactions with all that models read, in one global random order, as MDS blocks."""

import shutil
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from engine.prepare import features
from engine.prepare.features import MISSING, flagged
from engine.prepare.results import (
    Blocks,
    EntityTables,
    Interactions,
    LabelledRows,
    Preparation,
    Scale,
    SourceRows,
    Vocabularies,
)  # fmt: skip
from workers.artifacts import FEATURE, TEST, TRAIN, VALID
from workers.batches import PARTITION, SPLIT, WRITTEN, BlockWriter
from workers.prepare import MOMENT, HistoryBags, SourceFeature
from workers.specs import HISTORY, ITEM_ID, USER_ID, Categorical, Dense, FeatureSchema, Side

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MIN_BLOCK, MAX_BLOCK, BLOCKS_WANTED = 256, 4096, 128


def feature_schema(preparation: Preparation, sizes: dict[str, int], scales: dict[str, Scale]) -> FeatureSchema:
    """The features of the dataset, in the order that they have everywhere.

    Args:
        sizes: vocabulary -> number of values that have a row. scales: of every dense feature.
    """
    spec = preparation.spec

    def rows(f: SourceFeature) -> int:
        return (spec.hash_rows if f.name in spec.hashed else sizes.get(f.name, 0)) + 1

    def own(side: Side) -> list[Categorical]:
        return [
            Categorical(name=f.name, side=side, num_rows=rows(f), multi_valued=f.kind == "multi", vocabulary=f.name)
            for f in preparation.features_of(side)
            if f.kind != "dense"
        ]

    order: list[Categorical] = []
    if preparation.reading.user:
        order += [Categorical(name=USER_ID, side="user", num_rows=sizes.get(USER_ID, 0) + 1, vocabulary=USER_ID), *own("user")]
        if preparation.has_histories:
            order.append(Categorical(name=HISTORY, side="user", num_rows=sizes.get(ITEM_ID, 0) + 1, multi_valued=True, vocabulary=ITEM_ID))
    if preparation.reading.item:
        order += [Categorical(name=ITEM_ID, side="item", num_rows=sizes.get(ITEM_ID, 0) + 1, vocabulary=ITEM_ID), *own("item")]
    numbers = [f for f in preparation.features if f.kind == "dense"]
    scaled = [Dense(name=f.name, side=f.side, mean=scales[f.name].mean, std=scales[f.name].std) for f in numbers]
    flags = [Dense(name=f.name + MISSING, side=f.side, mean=0, std=1) for f in numbers if flagged(f, scales, spec)]
    return FeatureSchema(categorical=(*order, *own("context")), dense=(*scaled, *flags), sequence=preparation.sequence)


def write(
    preparation: Preparation, source: SourceRows, labelled: LabelledRows, vocabularies: Vocabularies, interactions: Interactions,
    tables: EntityTables, streaming: Thread,
) -> Blocks:  # fmt: skip
    """Write the three splits as MDS blocks, rows in one global random order, by the executors that hold the rows.

    Args:
        streaming: imports the streaming package, and has ended before that is used.
    """
    schema = feature_schema(preparation, vocabularies.sizes, interactions.scales | tables.scales)
    writer = BlockWriter(
        out=str(preparation.staging),
        block_rows=min(max(labelled.sizes[TRAIN] // BLOCKS_WANTED, MIN_BLOCK), MAX_BLOCK),
        single=tuple(f.name for f in schema.categorical if not f.multi_valued),
        multi=tuple(f.name for f in schema.categorical if f.multi_valued),
        dense=tuple(f.name for f in schema.dense),
        extra=tuple(name for name in ("target", "weight") if name in interactions.rows.columns),
    )
    rows = _with_features(preparation, source, interactions, tables, writer)
    written = _shuffled(preparation, source, rows, writer).mapInArrow(writer, WRITTEN).collect()
    streaming.join()
    _merge(preparation, labelled.sizes, [tuple(row) for row in written])
    return Blocks(schema, writer.block_rows)


def _with_features(
    preparation: Preparation, source: SourceRows, interactions: Interactions, tables: EntityTables, writer: BlockWriter
) -> "DataFrame":
    """Interactions with the features of their user and item, and with histories."""
    from pyspark.sql import functions as F

    # mapInArrow takes no name with a dot
    columns = interactions.rows.columns
    rows = interactions.rows.select(*(F.col(f"`{name}`").alias(name.removeprefix(FEATURE)) for name in columns))
    if tables.users is not None:
        rows = features.beside(rows, tables.users.table, USER_ID, tables.users.table.count())
    if HISTORY in writer.multi:
        rows = _with_history(preparation, source, rows)
    if tables.items is not None:
        rows = features.beside(rows, tables.items.table, ITEM_ID, tables.items.table.count())
    return rows


def _shuffled(preparation: Preparation, source: SourceRows, rows: "DataFrame", writer: BlockWriter) -> "DataFrame":
    """Rows in random order, with the columns that the writer takes."""
    from pyspark.sql import functions as F

    # one hash assigns a row to a partition and another orders it there: a global shuffle without a sort over everything
    identity = [f"`{name}`" for name in rows.columns if name not in (HISTORY, "target")]
    shuffled = rows.withColumn("_order", F.xxhash64(*identity, F.lit(preparation.spec.seed))).repartition(source.writers, "_order")
    shuffled = shuffled.sortWithinPartitions("_order")
    ids = {USER_ID: "user", ITEM_ID: "item"}
    columns = [F.col(ids.get(name, name)).alias(name) for name in (*writer.single, *writer.multi, *writer.dense)]
    return shuffled.select(F.spark_partition_id().alias(PARTITION), SPLIT, *columns, "label", "rating", "timestamp", *writer.extra)


def _with_history(preparation: Preparation, source: SourceRows, rows: "DataFrame") -> "DataFrame":
    """Add the bag of items that the row's user liked: one pass over the rows of each user in order of time."""
    from pyspark.sql.types import ArrayType, IntegerType, StructType

    ordered = rows.repartition(source.partitions, USER_ID).sortWithinPartitions(
        USER_ID, *(name for name in MOMENT if name in rows.columns), ITEM_ID
    )
    wanted = StructType([*ordered.schema.fields]).add(HISTORY, ArrayType(IntegerType()))
    return ordered.mapInArrow(HistoryBags(preparation.spec.history_order, preparation.spec.history), wanted)


def _merge(preparation: Preparation, sizes: dict[str, int], written: list[tuple[str, str, int, int]]) -> None:
    """One index for each split; refuses to lose rows."""
    for split in (TRAIN, VALID, TEST):
        rows, expected = sum(n for name, _, n, _ in written if name == split), sizes[split]
        if rows != expected:
            raise RuntimeError(f"{expected:,} rows of {split} became {rows:,} rows in its blocks.")
        merge(preparation.staging, split, [folder for name, folder, _, _ in written if name == split])


def merge(staging: Path, name: str, folders: list[str]) -> None:
    """Write one index over the folders of blocks below `staging/name`; remove what a failed attempt wrote."""
    from streaming.base.util import merge_index

    for folder in (staging / name).iterdir():
        if f"{name}/{folder.name}" not in folders:
            shutil.rmtree(folder)
    merge_index([str(staging / folder / "index.json") for folder in sorted(folders)], str(staging / name))
