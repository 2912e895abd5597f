"""Spark: the items that each user liked in train, and in validation, in order of time, as MDS blocks; users in one global random order."""

from threading import Thread
from typing import TYPE_CHECKING

from engine.prepare.blocks import BLOCKS_WANTED, merge
from engine.prepare.results import Interactions, Preparation, SequenceCounts, SourceRows, Vocabularies
from workers.artifacts import SEQUENCES, TRAIN, VALID, VALID_SEQUENCES
from workers.batches import PARTITION, SPLIT
from workers.prepare import MOMENT, SEQUENCES_WRITTEN, SequenceWriter
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MIN_BLOCK, MAX_BLOCK = 32, 1024  # users


def write(
    preparation: Preparation, source: SourceRows, vocabularies: Vocabularies, interactions: Interactions, streaming: Thread
) -> SequenceCounts | None:
    """Write the sequences, by the executors that hold the likes; None where the dataset has none. Counts are those of train.

    Args:
        streaming: imports the streaming package, and has ended before that is used.
    """
    if not preparation.sequence:
        return None
    users = vocabularies.sizes.get(USER_ID, 0)
    size, written = min(max(users // BLOCKS_WANTED, MIN_BLOCK), MAX_BLOCK), {}
    for split, name in ((TRAIN, SEQUENCES), (VALID, VALID_SEQUENCES)):
        writer = SequenceWriter(str(preparation.staging), size, preparation.sequence, name)
        written[split] = _by_user(preparation, source, interactions.rows, split).mapInArrow(writer, SEQUENCES_WRITTEN).collect()
    streaming.join()
    for split, name in ((TRAIN, SEQUENCES), (VALID, VALID_SEQUENCES)):
        if written[split] or split == TRAIN:
            merge(preparation.staging, name, [row["folder"] for row in written[split]])
    return SequenceCounts(*(sum(row[name] for row in written[TRAIN]) for name in SequenceCounts._fields))


def _by_user(preparation: Preparation, source: SourceRows, rows: "DataFrame", split: str) -> "DataFrame":
    """The likes of a split: users in random order, the likes of each in order of time, those of one moment in order of their item's id."""
    from pyspark.sql import functions as F

    liked = rows.where((F.col(SPLIT) == split) & (F.col("label") > 0) & (F.col("user") > 0) & (F.col("item") > 0))
    # one hash assigns a user to a partition and another place in the order there: a shuffle of users without a sort over everything
    shuffled = liked.withColumn("_order", F.xxhash64(USER_ID, F.lit(preparation.spec.seed))).repartition(source.writers, "_order")
    order = ["_order", USER_ID, *(name for name in MOMENT if name in rows.columns), ITEM_ID]
    return shuffled.sortWithinPartitions(*order).select(F.spark_partition_id().alias(PARTITION), USER_ID, "user", "item", "timestamp")
