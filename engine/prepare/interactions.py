"""Spark: the interactions with rows of vocabularies in place of values, as files that all later steps read."""

from typing import TYPE_CHECKING

from engine.datasets import INTERACTIONS
from engine.prepare import features, files
from engine.prepare.results import SPLITS, Interactions, LabelledRows, Preparation, Scale, SourceRows, Vocabularies
from workers.artifacts import FEATURE, TEST, TRAIN
from workers.batches import SPLIT
from workers.prepare import MOMENT
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write(preparation: Preparation, source: SourceRows, labelled: LabelledRows, vocabularies: Vocabularies) -> Interactions:
    """Write the interactions, ordered by user.

    Raises:
        ValueError: every train row is liked, or none is.
    """
    from pyspark.sql import functions as F

    context = preparation.features_of("context")
    scales = features.moments(labelled.rows, context, preparation.spec, F.when(F.col(SPLIT) == TRAIN, 1))
    rows = _encode(preparation, labelled.rows, vocabularies, scales)
    order = [name for name in (USER_ID, *MOMENT, ITEM_ID) if name in rows.columns] if preparation.reading.user else []
    ordered = rows.repartition(source.partitions, USER_ID).sortWithinPartitions(*order) if order else rows
    files.write_folder(ordered, preparation.staging / INTERACTIONS)
    written = source.spark.read.parquet(str(preparation.staging / INTERACTIONS))
    positives, cold = _count(written, labelled.sizes)
    _refuse_one_label(preparation, labelled, positives[TRAIN])
    return Interactions(written, positives, cold, scales)


def _encode(preparation: Preparation, rows: "DataFrame", vocabularies: Vocabularies, scales: dict[str, Scale]) -> "DataFrame":
    from pyspark.sql import functions as F

    spec, context = preparation.spec, preparation.features_of("context")
    rating = "rating" if "rating" in rows.columns else "null"
    keys = {key: side for key, side in ((USER_ID, "user"), (ITEM_ID, "item")) if key in rows.columns}
    names = [*keys, *(n for n in ("target", "weight", "subsecond") if n in rows.columns)]
    categories = [f for f in context if f.kind != "dense"]
    given = [F.expr(rating).cast("float").alias("rating"), "label", "timestamp", SPLIT, "row", *(f.name for f in categories)]
    rows = rows.select(*names, *given, *features.dense_columns(context, scales, spec, "_"))
    single = {f.name: "_" + f.name for f in categories if f.kind == "single" and f.name not in spec.hashed}
    folder = preparation.staging / "vocabulary"
    rows = features.encode_rows(rows, vocabularies.rows, vocabularies.sizes, single | keys, folder, tuple(keys))
    for f in categories:
        if f.kind == "multi":
            rows = features.context_bags(rows, vocabularies.rows, f, spec, "_" + f.name)
        elif f.name in spec.hashed:
            rows = rows.withColumn("_" + f.name, features.hashed(f, spec.hash_rows)).drop(f.name)
    encoded = [F.col(name).alias(FEATURE + name[1:]) for name in rows.columns if name.startswith("_")]
    return rows.select(*(name for name in rows.columns if not name.startswith("_") and name != "row"), *encoded)


def _count(rows: "DataFrame", expected: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Liked rows by split, and test rows by side ("user", "item") whose user or item is not in train."""
    from pyspark.sql import functions as F

    sides = [side for side in ("user", "item") if side in rows.columns]
    cold = [F.count_if(F.col(side) == 0) for side in sides]
    counts = {r[0]: r[1:] for r in rows.groupBy(SPLIT).agg(F.count("*"), F.count_if(F.col("label") > 0), *cold).collect()}
    sizes = {name: counts[name][0] for name in SPLITS}
    if sizes != expected:
        raise RuntimeError(f"Rows were lost on the way: {expected} became {sizes}.")
    return {name: counts[name][1] for name in SPLITS}, {side: counts[TEST][2 + place] for place, side in enumerate(sides)}


def _refuse_one_label(preparation: Preparation, labelled: LabelledRows, liked: int) -> None:
    rule, rows = labelled.rule, labelled.sizes[TRAIN]
    if liked not in (0, rows) or preparation.spec.label.kind == "implicit":
        return
    at = f" at a threshold of {rule.threshold:g}" if rule.threshold is not None else ""
    mean = f"; ratings have a mean of {rule.mean:.3g}, choose a threshold near it" if rule.mean is not None else ""
    raise ValueError(f"{'Every' if liked else 'No'} train row of {rows:,} is liked{at}, so there is nothing to learn{mean}.")
