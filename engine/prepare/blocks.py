"""Spark: interactions with all that models read, in one global random order, as MDS blocks."""

import shutil
from typing import TYPE_CHECKING

from engine.prepare import features as prepare_features
from engine.prepare.features import MISSING, flagged
from workers.artifacts import FEATURE, TEST, TRAIN, VALID
from workers.batches import PARTITION, SPLIT, WRITTEN, BlockWriter
from workers.prepare import HistoryBags, SourceFeature
from workers.specs import HISTORY, ITEM_ID, USER_ID, Categorical, Dense, FeatureSchema, Side

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from engine.prepare.build import Build

MIN_BLOCK, MAX_BLOCK, BLOCKS_WANTED = 256, 4096, 128


def feature_schema(build: "Build") -> FeatureSchema:
    """The features of this dataset, in the order that they have everywhere."""
    spec, sizes = build.spec, build.sizes

    def rows(f: SourceFeature) -> int:
        return (spec.hash_rows if f.name in spec.hashed else sizes.get(f.name, 0)) + 1

    def own(side: Side) -> list[Categorical]:
        return [
            Categorical(name=f.name, side=side, num_rows=rows(f), multi_valued=f.kind == "multi", vocabulary=f.name)
            for f in build.features(side)
            if f.kind != "dense"
        ]

    order: list[Categorical] = []
    if build.reading.user:
        order += [Categorical(name=USER_ID, side="user", num_rows=sizes.get(USER_ID, 0) + 1, vocabulary=USER_ID), *own("user")]
        if spec.history and build.can_rank:
            order.append(Categorical(name=HISTORY, side="user", num_rows=sizes.get(ITEM_ID, 0) + 1, multi_valued=True, vocabulary=ITEM_ID))
    if build.reading.item:
        order += [Categorical(name=ITEM_ID, side="item", num_rows=sizes.get(ITEM_ID, 0) + 1, vocabulary=ITEM_ID), *own("item")]
    numbers = [f for f in build.own_features if f.kind == "dense"]
    scaled = [Dense(name=f.name, side=f.side, mean=build.scales[f.name].mean, std=build.scales[f.name].std) for f in numbers]
    flags = [Dense(name=f.name + MISSING, side=f.side, mean=0, std=1) for f in numbers if flagged(f, build.scales, spec)]
    return FeatureSchema(categorical=(*order, *own("context")), dense=(*scaled, *flags))


def write(build: "Build") -> int:
    """Write the blocks of the three splits; returns the rows of a full block."""
    schema, counts = build.schema, build.counts
    block_rows = min(max(counts["interactions"][TRAIN] // BLOCKS_WANTED, MIN_BLOCK), MAX_BLOCK)
    writer = BlockWriter(
        out=str(build.staging),
        block_rows=block_rows,
        single=tuple(f.name for f in schema.categorical if not f.multi_valued),
        multi=tuple(f.name for f in schema.categorical if f.multi_valued),
        dense=tuple(f.name for f in schema.dense),
        extra=tuple(name for name in ("target", "weight") if name in build.rows.columns),
    )
    written = _encoded(build, writer).mapInArrow(writer, WRITTEN).collect()
    _merge(build, [tuple(row) for row in written])
    return block_rows


def _encoded(build: "Build", writer: BlockWriter) -> "DataFrame":
    """Rows as the writer takes them, shuffled."""
    from pyspark.sql import functions as F

    # mapInArrow takes no name with a dot
    rows = build.rows.select(*(F.col(f"`{name}`").alias(name.removeprefix(FEATURE)) for name in build.rows.columns))
    if build.users is not None:
        rows = prepare_features.beside(rows, build.users, USER_ID, build.users.count())
    if HISTORY in writer.multi:
        rows = _with_history(build, rows)
    if build.items is not None:
        rows = prepare_features.beside(rows, build.items, ITEM_ID, build.items.count())
    # rows meet in a partition by one hash and stand in it by another: a global shuffle without a sort over everything
    identity = [f"`{name}`" for name in rows.columns if name not in (HISTORY, "target")]
    shuffled = rows.withColumn("_order", F.xxhash64(*identity, F.lit(build.spec.seed))).repartition(build.writers, "_order")
    shuffled = shuffled.sortWithinPartitions("_order")
    ids = {USER_ID: "user", ITEM_ID: "item"}
    features = [*writer.single, *writer.multi, *writer.dense]
    columns = [F.col(ids.get(name, name)).alias(name) for name in features]
    return shuffled.select(F.spark_partition_id().alias(PARTITION), SPLIT, *columns, "label", "rating", "timestamp", *writer.extra)


def _with_history(build: "Build", rows: "DataFrame") -> "DataFrame":
    """Add each row's bag of liked items: a user's rows stand together, in order of time, and are gone through once."""
    from pyspark.sql.types import ArrayType, IntegerType, StructType

    ordered = rows.repartition(build.partitions, USER_ID).sortWithinPartitions(USER_ID, "timestamp", ITEM_ID)
    wanted = StructType([*ordered.schema.fields]).add(HISTORY, ArrayType(IntegerType()))
    return ordered.mapInArrow(HistoryBags(build.spec.history_order, build.spec.history), wanted)


def _merge(build: "Build", written: list[tuple[str, str, int, int]]) -> None:
    """One index over the folders of a split; what a failed attempt left is removed."""
    build.importing.join()
    from streaming.base.util import merge_index

    for split in (TRAIN, VALID, TEST):
        folders = sorted(folder for name, folder, _, _ in written if name == split)
        rows, expected = sum(n for name, _, n, _ in written if name == split), build.counts["interactions"][split]
        if rows != expected:
            raise RuntimeError(f"{expected:,} rows of {split} became {rows:,} rows in its blocks.")
        for folder in (build.staging / split).iterdir():
            if f"{split}/{folder.name}" not in folders:
                shutil.rmtree(folder)
        merge_index([str(build.staging / folder / "index.json") for folder in folders], str(build.staging / split))
