"""The steps of preparing, in order; each leaves its tables in the staging folder and its counts here."""

import logging
import math
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from engine.datasets import INTERACTIONS, QUARANTINE, DatasetSpec, TimeSplit
from engine.prepare import features as prepare_features
from engine.prepare import features as prepare_ranking
from engine.prepare import files
from engine.prepare import rows as prepare_rows
from engine.prepare import vocabularies as tables
from engine.prepare.features import Scale
from engine.preview import Pairs, Rule
from workers.artifacts import FEATURE, ITEMS, TEST, TRAIN, USERS, VALID
from workers.batches import SPLIT, import_streaming
from workers.prepare import SHOWN, RowReader, SourceFeature, schema
from workers.specs import HISTORY, ITEM_ID, USER_ID, FeatureSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SPLITS = (TRAIN, VALID, TEST)
ROWS_PER_PARTITION = 500_000
LARGE_CELLS = 10_000_000  # rows times columns; below this, compiling, re-planning and broadcasting take longer than what they save
SCRATCH = {"compression": "lz4_raw", "parquet.enable.dictionary": "false"}  # written fast, read a few times, thrown away
log = logging.getLogger(__name__)


class Build:
    """One preparation under way. Attributes appear step by step; see STEPS for the order."""

    schema: FeatureSchema  # these two by the steps that write blocks
    block_rows: int

    def __init__(self, spec: DatasetSpec, staging: Path) -> None:
        self.spec, self.staging = spec, staging
        self.scratch = staging / ".scratch"
        self.reading, self.own_features = spec.source.reading(), spec.source.features()
        self.counts: dict[str, Any] = {}
        self.split: dict[str, Any] = {"kind": spec.split.kind, "valid_from": None, "test_from": None}
        self.scales: dict[str, Scale] = {}
        self.people: DataFrame | None = None
        self.things: DataFrame | None = None
        self.users: DataFrame | None = None
        self.items: DataFrame | None = None

    def features(self, side: str) -> list[SourceFeature]:
        return [f for f in self.own_features if f.side == side]

    @property
    def can_rank(self) -> bool:
        return self.reading.user and self.reading.item

    def load(self) -> None:
        """Start Spark, read every row of the source, tell the sound from those that are none."""
        from pyspark.sql import functions as F
        from pyspark.sql.pandas.types import from_arrow_schema

        from engine.spark import session

        self.importing = Thread(target=import_streaming, daemon=True)  # takes seconds of one core, needed at the end
        self.importing.start()
        large = self._is_large(self.spec.source.size_hint())
        self.spark = session(f"recbench prepare {self.spec.name}", large=large)
        self._plan_for(large)
        self.source = self.spec.source.load(self.spark)
        raw = self.source.interactions.withColumn("row", F.monotonically_increasing_id())
        wanted = from_arrow_schema(schema(self.reading, self.own_features, raw.columns))
        self.rows = self.keep(raw.mapInArrow(RowReader(self.reading, self.own_features), wanted), "rows")
        pieces = self.rows.groupBy(F.shiftrightunsigned("row", 33).alias("piece"), "reason").count().collect()
        total = sum(piece["count"] for piece in pieces)
        if not total:
            raise ValueError(f"{self.spec.source.label} holds no interaction at all; choose another source.")
        self.pieces = [(int(piece["piece"]), int(piece["count"])) for piece in pieces]
        self.counts["rows_read"] = total
        self.writers = math.ceil(total / ROWS_PER_PARTITION)
        self.partitions = max(2, self.writers)
        self.spark.conf.set("spark.sql.shuffle.partitions", self.partitions)
        self._plan_for(large=self._is_large(total))

    def keep(self, table: "DataFrame", name: str) -> "DataFrame":
        """A table that later steps read again and again: in memory while it is small, else as a file, column by column."""
        if not self._is_large(self.spec.source.size_hint()):
            return table.persist()
        table.write.options(**SCRATCH).parquet(str(self.scratch / name))
        return self.spark.read.parquet(str(self.scratch / name))

    def _is_large(self, rows: int) -> bool:
        return rows * (5 + len(self.own_features)) >= LARGE_CELLS

    def _plan_for(self, large: bool) -> None:
        for option in ("spark.sql.codegen.wholeStage", "spark.sql.adaptive.enabled"):
            self.spark.conf.set(option, str(large).lower())
        self.spark.conf.set("spark.sql.autoBroadcastJoinThreshold", 10 << 20 if large else -1)

    def set_aside(self) -> None:
        """Copies and repeats under the policy, users and items with too little; what is set aside is kept with its reason."""
        from pyspark.sql import functions as F

        self.pairs: Pairs
        rows, self.pairs = prepare_rows.set_aside_pairs(self.rows, self.spec)
        rows = prepare_rows.set_aside_small(rows, self.spec)
        if rows is not self.rows:
            rows = self.keep(rows, "sorted_out")
        reasons = {row[0]: row[1] for row in rows.groupBy("reason").count().collect()}
        self.counts["rows_used"] = reasons.pop(None, 0)
        self.counts["set_aside"] = dict(sorted(reasons.items(), key=lambda pair: -pair[1]))
        if not self.counts["rows_used"]:
            said = "; ".join(f"{n:,} rows: {reason}" for reason, n in self.counts["set_aside"].items())
            raise ValueError(f"No row is left to use. {said}. Mend the mapping or the data.")
        if reasons:
            read = F.to_json(F.struct(*prepare_rows.content(rows)))  # of rows that were read well, as they were read
            aside = rows.where("reason IS NOT NULL").select("row", "reason", F.coalesce("raw", read).alias("raw"))
            numbered = aside.withColumn("row", tables.record_number(self.pieces)).repartitionByRange(
                self._few_files(sum(reasons.values())), "row"
            )
            files.write_one(numbered.sortWithinPartitions("row"), self.staging / QUARANTINE, self.scratch)
        self.used = rows.where(F.col("reason").isNull()).drop("reason", "raw")

    def _few_files(self, rows: int) -> int:
        return math.ceil(rows / tables.SINGLE_FILE_ROWS)

    def split_and_label(self) -> None:
        """Give every row its side, and from train alone the rule of what is liked."""
        from pyspark.sql import functions as F

        if isinstance(self.spec.split, TimeSplit):
            rows = self._split_by_time(self.spec.split)
        else:
            rows = self.keep(prepare_rows.split_rows(self.used, self.spec), "split")
            prepare_rows.refuse_crossing_copies(rows, self.spec, self.pairs)
        mean = F.avg("rating") if "rating" in rows.columns else F.lit(None).cast("double")
        sizes = {name: (n, value) for name, n, value in rows.groupBy(SPLIT).agg(F.count("*"), mean).collect()}
        self.counts["interactions"] = {name: sizes.get(name, (0, 0))[0] for name in SPLITS}
        prepare_rows.refuse_empty(self.counts["interactions"], self.spec)
        self.rule: Rule
        self.labelled, self.rule = prepare_rows.label_rows(rows, self.spec, sizes[TRAIN][1])

    def _split_by_time(self, split: TimeSplit) -> "DataFrame":
        from pyspark.sql import functions as F

        low, high = self.used.agg(F.min("timestamp"), F.max("timestamp")).first() or (0, 0)
        shares = (1 - (split.valid + split.test), 1 - split.test)
        valid_from, test_from = tables.order_statistics(self.used.select("timestamp"), shares, self.counts["rows_used"], low, high)
        self.split |= {"valid_from": valid_from, "test_from": test_from}
        return self.used.withColumn(SPLIT, tables.split_by_time(valid_from, test_from))

    def number(self) -> None:
        """Vocabularies of train: ids and features become rows of tables."""
        from pyspark.sql import functions as F

        self.melted: dict[str, DataFrame] = {}
        if self.reading.user:
            self.people = tables.everyone(self.labelled, USER_ID, self.source.users, self._said_of("user")).persist()
            self.melted["user"] = tables.melt(self.people, USER_ID, self.features("user"))
        if self.reading.item:
            self.things = tables.everyone(self.labelled, ITEM_ID, self.source.items, self._said_of("item")).persist()
            self.melted["item"] = tables.melt(self.things, ITEM_ID, self.features("item"))
        met = [*self.melted.values(), *tables.context_values(self.labelled, self.features("context"))]
        if not met:
            raise ValueError("The source names no user, no item and no categorical feature, so there is nothing to learn from; map some.")
        least = {f.name: self.spec.min_count for f in self.own_features if f.kind != "dense" and f.name not in self.spec.hashed}
        known, every, self.sizes = tables.vocabularies(met, self.scratch, least)
        self.every_value = every.select("name", "value", "count")
        self.vocabulary = known.where(~F.col("name").isin(list(self.spec.hashed))).persist()
        by_name = self.vocabulary.repartitionByRange(1 if self._fits_one_file() else self.partitions, "name", "row")
        ordered = by_name.sortWithinPartitions("name", "row").select(F.col("name").alias("_name"), "row", "value", "count")
        files.write_parts(ordered, "_name", self.staging / "vocabulary", self.scratch)

    def _said_of(self, side: str) -> list[str]:
        """Columns of the interactions that say something of a user (or an item)."""
        own = [f.name for f in self.features(side) if f.name in self.labelled.columns]
        return own + [name for name in SHOWN if side == "item" and name in self.labelled.columns and name not in own]

    def _fits_one_file(self) -> bool:
        return sum(self.sizes.values()) <= tables.SINGLE_FILE_ROWS

    def write_interactions(self) -> None:
        """Interactions with their rows, ordered by user; all later steps read these files."""
        from pyspark.sql import functions as F

        spec, context = self.spec, self.features("context")
        rating = "rating" if "rating" in self.labelled.columns else "null"
        keys = {key: side for key, side in ((USER_ID, "user"), (ITEM_ID, "item")) if key in self.labelled.columns}
        names = [*keys, *(n for n in ("target", "weight") if n in self.labelled.columns)]
        self.scales |= prepare_features.moments(self.labelled, context, spec, F.when(F.col(SPLIT) == TRAIN, 1))
        numbers = prepare_features.dense_columns(context, self.scales, spec, "_")
        categories = [f for f in context if f.kind != "dense"]
        given = [F.expr(rating).cast("float").alias("rating"), "label", "timestamp", SPLIT, "row", *(f.name for f in categories)]
        rows = self.labelled.select(*names, *given, *numbers)
        single = {f.name: "_" + f.name for f in categories if f.kind == "single" and f.name not in spec.hashed}
        rows = prepare_features.encode_rows(rows, self.vocabulary, self.sizes, single | keys, self.staging / "vocabulary", tuple(keys))
        for f in categories:
            if f.kind == "multi":
                rows = prepare_features.context_bags(rows, self.vocabulary, f, spec, "_" + f.name)
            elif f.name in spec.hashed:
                rows = rows.withColumn("_" + f.name, prepare_features.hashed(f, spec.hash_rows)).drop(f.name)
        encoded = [F.col(name).alias(FEATURE + name[1:]) for name in rows.columns if name.startswith("_")]
        rows = rows.select(*(name for name in rows.columns if not name.startswith("_") and name != "row"), *encoded)
        order = [name for name in (USER_ID, "timestamp", ITEM_ID) if name in rows.columns] if self.reading.user else []
        ordered = rows.repartition(self.partitions, USER_ID).sortWithinPartitions(*order) if order else rows
        files.write_folder(ordered, self.staging / INTERACTIONS)
        self.rows = self.spark.read.parquet(str(self.staging / INTERACTIONS))
        self._count()

    def _count(self) -> None:
        from pyspark.sql import functions as F

        sides = [side for side in ("user", "item") if side in self.rows.columns]
        cold = [F.count_if(F.col(side) == 0) for side in sides]
        found = {r[0]: r[1:] for r in self.rows.groupBy(SPLIT).agg(F.count("*"), F.count_if(F.col("label") > 0), *cold).collect()}
        rows = {name: found[name][0] for name in SPLITS}
        if rows != self.counts["interactions"]:
            raise RuntimeError(f"Rows were lost on the way: {self.counts['interactions']} became {rows}.")
        self.counts["positives"] = {name: found[name][1] for name in SPLITS}
        self.counts |= {f"cold_{side}_rows_test": found[TEST][2 + place] for place, side in enumerate(sides)}
        liked = self.counts["positives"][TRAIN]
        if liked in (0, rows[TRAIN]) and self.spec.label.kind != "implicit":
            at = f" at a threshold of {self.rule.threshold:g}" if self.rule.threshold is not None else ""
            mean = f"; ratings have a mean of {self.rule.mean:.3g}, choose a threshold near it" if self.rule.mean is not None else ""
            raise ValueError(f"{'Every' if liked else 'No'} train row of {rows[TRAIN]:,} is liked{at}, so there is nothing to learn{mean}.")

    def write_people_and_things(self) -> None:
        """users.parquet and items.parquet: what people are shown, and every encoded feature."""
        from pyspark.sql import functions as F

        met = F.col("train_count")
        internal = ("valid_count", "test_count", "untitled")
        if self.people is not None:
            self.scales |= prepare_features.moments(self.people, self.features("user"), self.spec, met)
            self.user_rows = prepare_features.look_up(self.melted["user"], self.vocabulary).persist()
            users = prepare_features.encode(self.people, USER_ID, self.user_rows, self.features("user"), self.scales, self.spec)
            if self.spec.history and self.can_rank:
                liked = prepare_ranking.liked_in_train(self.rows, self.spec.history)
                users = users.join(liked.withColumnRenamed("liked", FEATURE + HISTORY), USER_ID, "left")
                users = users.withColumn(FEATURE + HISTORY, prepare_features.or_empty(F.col(f"`{FEATURE + HISTORY}`")))
            shown = [f"`{n}`" for n in users.columns if n not in (USER_ID, "row", "train_count", *internal)]
            self.users = self._write_table(users.select(USER_ID, "row", *shown), USER_ID, USERS)
            self.counts |= {"users": self.people.where("interactions > 0").count(), "train_users": self.sizes.get(USER_ID, 0)}
        if self.things is not None:
            self.scales |= prepare_features.moments(self.things, self.features("item"), self.spec, met)
            self.item_rows = prepare_features.look_up(self.melted["item"], self.vocabulary).persist()
            titled = tables.titled(self.things)
            items = prepare_features.encode(titled, ITEM_ID, self.item_rows, self.features("item"), self.scales, self.spec)
            first = [ITEM_ID, "row", "title", "genres"]
            rest = [f"`{n}`" for n in items.columns if n not in (*first, "interactions", "test_positives", *internal)]
            self.counts["items_without_title"] = items.where("untitled AND interactions > 0").count()
            self.items = self._write_table(items.select(*first, *rest), ITEM_ID, ITEMS)
            self.counts |= {"items": self.things.where("interactions > 0").count(), "train_items": self.sizes.get(ITEM_ID, 0)}

    def _write_table(self, table: "DataFrame", key: str, name: str) -> "DataFrame":
        """A table by row, what train does not know last; read back, so that nothing is computed twice."""
        from pyspark.sql import functions as F

        order = [F.col("row") == 0, F.col("row"), F.col(key)]
        parted = table.repartition(1) if self._fits_one_file() else table.repartitionByRange(self.partitions, *order)
        files.write_one(parted.sortWithinPartitions(*order), self.staging / name, self.scratch)
        return self.spark.read.parquet(str(self.staging / name))
