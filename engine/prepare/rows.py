"""Spark: which rows are used, the split of each, and its label. `engine.preview.rows` does the same for a preview.

Each function reads all rows by a 64-bit hash first, and then only the few rows that it concerns in full.
"""

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from engine.datasets import (
    OF_EACH_USER,
    ActionsLabel,
    ColumnSplit,
    DatasetSpec,
    LastSplit,
    PerUserSplit,
    RandomSplit,
    RegressionLabel,
    TimeSplit,
)
from engine.prepare.splits import order_statistics, split_last, split_per_user
from engine.preview import COPY as COPIED
from engine.preview import LATER, MOST_CLASSES, NOT_CONTENT, PAIRS, Pairs, Rule, check_given, leak, liked_classes, merges_actions
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import MOMENT
from workers.specs import Output

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

FEW = 1_000_000  # rows that are sent to every executor rather than shuffled
MOST_ROUNDS = 200


def content(rows: "DataFrame") -> list[str]:
    """The columns that make two rows the same."""
    return [f"`{name}`" for name in rows.columns if name not in NOT_CONTENT]


def few(table: "DataFrame", count: int) -> "DataFrame":
    from pyspark.sql import functions as F

    return F.broadcast(table) if count <= FEW else table


def set_aside_later(rows: "DataFrame", spec: DatasetSpec) -> "DataFrame":
    """Rows with a `reason` where they are later than what is used; see `engine.preview.rows.set_aside_later`."""
    from pyspark.sql import functions as F

    if not isinstance(spec.split, TimeSplit) or spec.split.until == 1:
        return rows
    sound = rows.where("reason IS NULL").select("timestamp")
    low, high, count = sound.agg(F.min("timestamp"), F.max("timestamp"), F.count("timestamp")).first() or (0, 0, 0)
    if not count:
        return rows
    (from_time,) = order_statistics(sound, [spec.split.until], count, low, high)
    later = F.col("reason").isNull() & (F.col("timestamp") >= from_time)
    return rows.withColumn("reason", F.when(later, LATER).otherwise(F.col("reason")))


def set_aside_pairs(rows: "DataFrame", spec: DatasetSpec) -> tuple["DataFrame", Pairs]:
    """Rows with a `reason` where the policy on duplicates leaves them out; see `engine.preview.rows.set_aside_pairs`."""
    from pyspark.sql import functions as F

    reading = spec.source.reading()
    paired = reading.user and reading.item
    rows = set_aside_later(rows, spec)  # first of all: what is later decides nothing
    sound = rows.where("reason IS NULL")
    key = F.xxhash64("user_id", "item_id") if paired else F.xxhash64(*content(rows))
    many = sound.groupBy(key.alias("_pair")).count().where("count > 1").select("_pair").persist()
    number = many.count()
    if not number:
        return rows, Pairs()
    label = {"number": "rating", "category": "category"}.get(reading.value)
    own = _content(sound, [*(["user_id", "item_id", *MOMENT] if paired else []), *([label] if label else []), "split"])
    own = _copies(own.withColumn("_pair", key if paired else F.col("_same.a")).join(few(many, number), "_pair", "left_semi").persist())
    _refuse_leak(own, spec)
    pairs = _count_pairs(own, paired, label)
    changes = _changes(own, spec, paired).persist()
    changed = changes.count()
    if not changed:
        return rows, pairs
    joined = rows.join(few(changes, changed), "row", "left").withColumn("reason", F.coalesce("reason", "_reason"))
    for name in ("rating", "category"):
        if f"_{name}" in changes.columns:
            joined = joined.withColumn(name, F.coalesce(f"_{name}", name))
    return joined.select(*(f"`{name}`" for name in rows.columns)), pairs


def _content(rows: "DataFrame", names: Sequence[str]) -> "DataFrame":
    """row, some columns, and `_same`: hashes of the content, so that wide rows need not be moved to be compared."""
    from pyspark.sql import functions as F

    # two hashes: among ten billion rows, one of 64 bits has collisions
    same = F.struct(F.xxhash64(*content(rows)).alias("a"), F.hash(*content(rows)).alias("b")).alias("_same")
    return rows.select("row", *(name for name in names if name in rows.columns), same)


def _copies(own: "DataFrame") -> "DataFrame":
    """Add `_copy`: whether an earlier row has the same content."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    return own.withColumn("_copy", F.row_number().over(Window.partitionBy("_same").orderBy("row")) > 1)


def _refuse_leak(own: "DataFrame", spec: DatasetSpec) -> None:
    from pyspark.sql import functions as F

    if isinstance(spec.split, ColumnSplit):
        crossing = own.groupBy("_same").agg(F.count("*").alias("n"), F.countDistinct("split").alias("sides")).where("sides > 1")
        if copies := (crossing.agg(F.sum("n")).first() or [0])[0]:
            raise leak(int(copies), "column")


def refuse_crossing_copies(rows: "DataFrame", spec: DatasetSpec, pairs: Pairs) -> None:
    """ValueError when copies of a row are in more than one part of a split per user."""
    from pyspark.sql import functions as F

    if spec.duplicates == "keep" and pairs.copies and spec.split.kind in OF_EACH_USER:
        sides = rows.groupBy(F.xxhash64(*content(rows))).agg(F.count("*").alias("n"), F.countDistinct("split").alias("sides"))
        if copies := (sides.where("sides > 1").agg(F.sum("n")).first() or [0])[0]:
            raise leak(int(copies), "per_user")


def _count_pairs(own: "DataFrame", paired: bool, label: str | None) -> Pairs:
    from pyspark.sql import functions as F

    copies = own.where("_copy").count()
    if not paired:
        return Pairs(copies)
    different = F.count_distinct(label) > 1 if label else F.lit(False)
    groups = own.groupBy("user_id", "item_id").agg(F.count("*").alias("n"), different.alias("conflict")).where("n > 1")
    repeated, conflicting = groups.agg(F.count("*"), F.count_if("conflict")).first() or (0, 0)
    return Pairs(copies, repeated, conflicting)


def _changes(own: "DataFrame", spec: DatasetSpec, paired: bool) -> "DataFrame":
    """row, _reason (null for a row that stays) and the new _rating or _category of rows that stay."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    copied = own.where("_copy").select("row", F.lit(COPIED).alias("_reason")) if spec.duplicates != "keep" else None
    policy = "actions" if merges_actions(spec) else spec.duplicates
    if policy not in PAIRS or not paired:
        return copied if copied is not None else own.select("row", F.lit(None).cast("string").alias("_reason")).limit(0)
    left = own if spec.duplicates == "keep" else own.where("NOT _copy")
    pair = Window.partitionBy("user_id", "item_id")
    keys = (*(name for name in MOMENT if name in left.columns), "_same.a", "row")
    order = keys if policy == "first" else tuple(map(F.desc, keys))
    placed = left.withColumn("_place", F.row_number().over(pair.orderBy(*order))).withColumn(
        "_reason", F.when(F.col("_place") > 1, PAIRS[policy])
    )
    columns = ["row", "_reason"]
    if policy == "mean":
        placed, columns = placed.withColumn("_rating", F.avg("rating").over(pair)), [*columns, "_rating"]
    if policy == "actions":
        every = F.array_join(F.sort_array(F.collect_set("category").over(pair)), "|")
        placed, columns = placed.withColumn("_category", every), [*columns, "_category"]
    changed = placed.select(*columns)
    return changed if copied is None else changed.unionByName(copied, allowMissingColumns=True)


def out_of_core(rows: "DataFrame", spec: DatasetSpec) -> "DataFrame | None":
    """The `row` of rows whose user or item has fewer train rows than the minimum (k-core), round by round over ids only; None without a
    minimum. See `engine.preview.rows.in_core`.

    Args:
        rows: with `split`.
    """
    from pyspark.sql import functions as F

    least = [("user_id", spec.min_user_interactions), ("item_id", spec.min_item_interactions)]
    least = [(key, most) for key, most in least if most > 1]
    if not least:
        return None
    names = [key for key, _ in least]
    own = rows.where(F.col("split") == TRAIN).select(*names).persist()
    before = own.count()
    for _ in range(MOST_ROUNDS):
        for key, most in least:
            own = own.join(own.groupBy(key).count().where(F.col("count") >= most).select(key), key, "left_semi")
        own = own.localCheckpoint()
        now = own.count()
        if now == before:
            candidates = rows.select("row", *names)
            for key in names:
                candidates = candidates.join(own.select(key).distinct(), key, "left_semi")
            return rows.select("row").join(candidates.select("row"), "row", "left_anti")
        before = now
    raise ValueError(f"The minimums did not settle in {MOST_ROUNDS} rounds; lower min_user_interactions or min_item_interactions.")


def by_chance(columns: Sequence[str], seed: int) -> "Column":
    """A pseudo-random number in [0, 1) from the content of some columns."""
    from pyspark.sql import functions as F

    return F.pmod(F.xxhash64(*columns, F.lit(seed)), F.lit(10_000_019)) / 10_000_019


def split_rows(rows: "DataFrame", spec: DatasetSpec) -> "DataFrame":
    """Rows with `split`, for all splits but the one by time, which needs order statistics first."""
    from pyspark.sql import functions as F

    if isinstance(spec.split, PerUserSplit):
        return split_per_user(rows, spec.split, spec.source.reading().parts)
    if isinstance(spec.split, LastSplit):
        return split_last(rows, label_rows(rows, spec, None)[0], spec.source.reading().parts)
    if isinstance(spec.split, RandomSplit):
        together = ["user_id", "timestamp"] if spec.source.reading().parts else content(rows)
        chance = by_chance(together, spec.seed)
        test, valid = spec.split.test, spec.split.valid
        return rows.withColumn("split", F.when(chance < test, TEST).when(chance < test + valid, VALID).otherwise(TRAIN))
    return rows


def refuse_empty(rows: dict[str, int], spec: DatasetSpec) -> None:
    """ValueError, with advice, when train, valid or test has no row."""
    total, given = sum(rows.values()), ", ".join(f"{name} {n:,}" for name, n in rows.items())
    for name, n in rows.items():
        if not n:
            raise ValueError(
                f"The {name} split is empty: {total:,} rows give {given}. Change the shares of the split, split "
                f"{'per user' if spec.split.kind == 'time' else 'by time'}, or use more interactions."
            )


def label_rows(rows: "DataFrame", spec: DatasetSpec, train_mean: float | None) -> tuple["DataFrame", Rule]:
    """Rows with `label` (0 or 1, float), with `target` where models predict more than that, and the resolved rule."""
    from pyspark.sql import functions as F

    label = spec.label
    if label.kind == "implicit":
        return rows.withColumn("label", F.lit(1.0).cast("float")), Rule("binary", None, None, [], [])
    if label.kind in ("multi_class", "actions"):
        return _label_classes(rows, spec)
    if label.kind == "given":
        check_given({float(row[0]) for row in rows.select("rating").distinct().limit(MOST_CLASSES).collect()})
    threshold: float | None = {"threshold": getattr(label, "threshold", None), "given": 1.0}.get(label.kind, train_mean)
    if isinstance(label, RegressionLabel) and label.liked_from is not None:
        threshold = label.liked_from
    output: Output = "regression" if label.kind == "regression" else "binary"
    bar: Column = F.lit(threshold)
    if label.kind == "user_mean":
        means = rows.where(F.col("split") == TRAIN).groupBy("user_id").agg(F.avg("rating").alias("_mean"))
        rows, threshold, bar = rows.join(means, "user_id", "left"), None, F.coalesce("_mean", F.lit(train_mean))
    labelled = rows.withColumn("label", (F.col("rating") >= bar).cast("float")).drop("_mean")
    if output == "regression":
        labelled = labelled.withColumn("target", F.col("rating").cast("float"))
    return labelled, Rule(output, threshold, train_mean, [], [])


def _label_classes(rows: "DataFrame", spec: DatasetSpec) -> tuple["DataFrame", Rule]:
    from pyspark.sql import functions as F

    actions = spec.source.reading().actions
    if actions:
        classes = list(actions)
        happened: Sequence[Column] = [F.col(f"`action.{name}`") for name in classes]
    elif isinstance(spec.label, ActionsLabel):
        kinds = rows.select(F.explode(F.split("category", r"\|")).alias("kind")).groupBy("kind").count()
        classes = [row[0] for row in kinds.orderBy(F.desc("count"), "kind").limit(MOST_CLASSES + 1).collect()]
        happened = [F.array_contains(F.split("category", r"\|"), name).cast("double") for name in classes]
    else:
        name = "rating" if "rating" in rows.columns else "category"
        values = sorted(row[0] for row in rows.select(name).distinct().limit(MOST_CLASSES + 1).collect())
        classes = [f"{value:g}" for value in values] if name == "rating" else values
        happened = [(F.col(name) == value).cast("double") for value in values]
    liked = liked_classes(classes, spec)
    positive = reduce(F.greatest, [happened[classes.index(one)] for one in liked]) if len(liked) > 1 else happened[classes.index(liked[0])]
    target: Any = F.array(*(one.cast("float") for one in happened))
    if spec.label.kind == "multi_class":
        target = (F.array_position(target, F.lit(1.0).cast("float")) - 1).cast("float")
    return rows.withColumn("label", positive.cast("float")).withColumn("target", target), Rule(
        spec.label.kind, None, None, classes, liked  # type: ignore[arg-type]
    )  # fmt: skip
