"""The steps of preparing, in order; each leaves its tables in the staging folder and its counts here."""

import logging
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar

from engine import prepare_files as files
from engine import prepare_tables as tables
from engine.datasets import INTERACTIONS
from engine.prepare_columns import COLUMNS
from engine.sources import SourceFeature
from engine.specs import DatasetSpec, ThresholdLabel, TimeSplit
from workers.blocks import PARTITION, SPLIT, WRITTEN, BlockWriter, import_streaming
from workers.results import FEATURE, ITEMS, TEST, TRAIN, USERS, VALID
from workers.specs import HISTORY, ITEM_ID, USER_ID, Categorical, Dense, FeatureSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SPLITS = (TRAIN, VALID, TEST)
ROWS_PER_PARTITION = 500_000
MIN_BLOCK, MAX_BLOCK, BLOCKS_WANTED = 256, 4096, 128
LARGE_ROWS = 2_000_000  # below this, compiling, re-planning and broadcasting take longer than what they save
log = logging.getLogger(__name__)


class Build:
    """One preparation under way. Attributes appear step by step; see STEPS for the order."""

    STEPS: ClassVar[dict[str, Callable[["Build"], None]]]

    def __init__(self, spec: DatasetSpec, staging: Path) -> None:
        self.spec, self.staging = spec, staging
        self.scratch = staging / ".scratch"
        self.counts: dict[str, Any] = {}
        self.split: dict[str, Any] = {"kind": spec.split.kind, "valid_from": None, "test_from": None}

    def load(self) -> None:
        """Start Spark, read the source, measure it."""
        from pyspark.sql import functions as F

        from engine.spark import session

        self.importing = Thread(target=import_streaming, daemon=True)  # takes seconds of one core, needed at the end
        self.importing.start()
        self.spark = session(f"recbench prepare {self.spec.name}", large=self.spec.source.size_hint() >= LARGE_ROWS)
        self._plan_for(large=False)
        self.source = self.spec.source.load(self.spark)
        self.rows = self.source.interactions.persist()
        time = F.col("timestamp")
        count, low, high = self.rows.agg(F.count(F.lit(1)), F.min(time), F.max(time)).first() or (0, 0, 0)
        if not count:
            raise ValueError(f"{self.spec.source.label} holds no interaction at all; choose another source.")
        self.counts["rows_read"], self.first, self.last = count, low, high
        self.writers = math.ceil(count / ROWS_PER_PARTITION)
        self.partitions = max(2, self.writers)
        self.spark.conf.set("spark.sql.shuffle.partitions", self.partitions)
        self._plan_for(large=count >= LARGE_ROWS)

    def _plan_for(self, large: bool) -> None:
        for option in ("spark.sql.codegen.wholeStage", "spark.sql.adaptive.enabled"):
            self.spark.conf.set(option, str(large).lower())
        self.spark.conf.set("spark.sql.autoBroadcastJoinThreshold", 10 << 20 if large else -1)

    def split_and_label(self) -> None:
        """Give every row its split, and from train alone the rule of what is liked."""
        from pyspark.sql import functions as F

        spec = self.spec.split
        if isinstance(spec, TimeSplit):
            shares = (1 - (spec.valid + spec.test), 1 - spec.test)
            times, total = self.rows.select("timestamp"), self.counts["rows_read"]
            valid_from, test_from = tables.order_statistics(times, shares, total, self.first, self.last)
            self.split |= {"valid_from": valid_from, "test_from": test_from}
            rows = self.rows.withColumn(SPLIT, tables.split_by_time(valid_from, test_from))
        else:
            rows = tables.split_per_user(self.rows, spec).persist()
        sizes = {name: (n, mean) for name, n, mean in rows.groupBy(SPLIT).agg(F.count("*"), F.avg("rating")).collect()}
        self._refuse_empty({name: sizes.get(name, (0, 0))[0] for name in SPLITS})
        rule = self.spec.label
        self.mean = sizes[TRAIN][1]
        self.threshold = rule.threshold if isinstance(rule, ThresholdLabel) else self.mean
        self.labelled = rows.withColumn("label", (F.col("rating") >= self.threshold).cast("float"))

    def _refuse_empty(self, rows: dict[str, int]) -> None:
        self.counts["interactions"] = rows
        total, given = sum(rows.values()), ", ".join(f"{name} {n:,}" for name, n in rows.items())
        for name in SPLITS:
            if not rows[name]:
                raise ValueError(
                    f"The {name} split is empty: {total:,} rows give {given}. Change the shares of the split, split "
                    f"{'per user' if self.split['kind'] == 'time' else 'by time'}, or bring more interactions."
                )

    def number(self) -> None:
        """Vocabularies of train: ids and features become rows of tables."""
        from pyspark.sql import functions as F

        self.people = tables.everyone(self.labelled, USER_ID, self.source.users).persist()
        self.things = tables.everyone(self.labelled, ITEM_ID, self.source.items).persist()
        self.melted = {
            "user": tables.melt(self.people, USER_ID, self.features("user")),
            "item": tables.melt(self.things, ITEM_ID, self.features("item")),
        }
        vocabulary, self.sizes = tables.vocabularies(list(self.melted.values()), self.scratch)
        self.vocabulary = vocabulary.persist()
        by_name = self.vocabulary.repartitionByRange(1 if self._fits_one_file() else self.partitions, "name", "row")
        ordered = by_name.sortWithinPartitions("name", "row").select(F.col("name").alias("_name"), "row", "value", "count")
        files.write_parts(ordered, "_name", self.staging / "vocabulary", self.scratch)

    def _fits_one_file(self) -> bool:
        return sum(self.sizes.values()) <= tables.SINGLE_FILE_ROWS

    def write_interactions(self) -> None:
        """Interactions with their rows, ordered by user; all later steps read these files."""
        from pyspark.sql import functions as F

        rows = self.labelled
        for key, target in ((USER_ID, "user"), (ITEM_ID, "item")):
            rows = tables.look_up(rows, self.vocabulary, name=key, column=key, target=target)
        rows = rows.select("user_id", "item_id", "user", "item", F.col("rating").cast("float").alias("rating"), "label", "timestamp", SPLIT)
        ordered = rows.repartitionByRange(self.partitions, "user_id").sortWithinPartitions("user_id", "timestamp", "item_id")
        folder = self.staging / INTERACTIONS
        files.write_folder(ordered, folder)
        self.rows.unpersist()
        self.rows = self.spark.read.parquet(str(folder))
        self._count()

    def _count(self) -> None:
        from pyspark.sql import functions as F

        cold = [F.count_if(F.col(side) == 0) for side in ("user", "item")]
        found = {r[0]: r[1:] for r in self.rows.groupBy(SPLIT).agg(F.count("*"), F.count_if(F.col("label") > 0), *cold).collect()}
        rows = {name: found[name][0] for name in SPLITS}
        if rows != self.counts["interactions"]:
            raise RuntimeError(f"Rows were lost on the way: {self.counts['interactions']} became {rows}.")
        self.counts["positives"] = {name: found[name][1] for name in SPLITS}
        self.counts |= {"cold_user_rows_test": found[TEST][2], "cold_item_rows_test": found[TEST][3]}
        liked = self.counts["positives"][TRAIN]
        if liked in (0, rows[TRAIN]):
            raise ValueError(
                f"{'Every' if liked else 'No'} train row of {rows[TRAIN]:,} is liked at a threshold of {self.threshold:g}, so there "
                f"is nothing to learn; ratings have a mean of {self.mean:.3g}, choose a threshold near it."
            )

    def write_people_and_things(self) -> None:
        """users.parquet and items.parquet: what people are shown, and every encoded feature."""
        from pyspark.sql import functions as F

        dense = {side: [f for f in self.features(side) if f.kind == "dense"] for side in ("user", "item")}
        self.scales = tables.moments(self.people, dense["user"]) | tables.moments(self.things, dense["item"])
        rows = {side: tables.look_up(melted, self.vocabulary) for side, melted in self.melted.items()}
        users = tables.encode(self.people, USER_ID, rows["user"], self.features("user"), self.scales)
        self.liked: DataFrame | None = None
        if self.spec.history:
            liked = tables.liked_in_train(self.rows, self.spec.history + 1)
            liked.write.parquet(str(self.scratch / "liked"))
            self.liked = self.spark.read.parquet(str(self.scratch / "liked"))
            users = users.join(self.liked, USER_ID, "left")
            users = users.withColumn(FEATURE + HISTORY, tables.newest(F.col("liked"), self.spec.history)).drop("liked")
        shown = [f"`{n}`" for n in users.columns if n not in (USER_ID, "row", "train_count")]
        self.users = self._write_table(users.select(USER_ID, "row", *shown), USER_ID, USERS)
        items = tables.encode(self._titled(self.things), ITEM_ID, rows["item"], self.features("item"), self.scales)
        first = [ITEM_ID, "row", "title", "genres"]
        rest = [f"`{n}`" for n in items.columns if n not in (*first, "interactions", "test_positives", "untitled")]
        self.counts["items_without_title"] = items.where("untitled").count()
        self.items = self._write_table(items.select(*first, *rest), ITEM_ID, ITEMS)
        self.counts |= {"users": self.people.count(), "items": self.things.count()}
        self.counts |= {"train_users": self.sizes[USER_ID], "train_items": self.sizes[ITEM_ID]}

    def _write_table(self, table: "DataFrame", key: str, name: str) -> "DataFrame":
        """A table by row, what train does not know last; read back, so that nothing is computed twice."""
        from pyspark.sql import functions as F

        order = [F.col("row") == 0, F.col("row"), F.col(key)]
        parted = table.repartition(1) if self._fits_one_file() else table.repartitionByRange(self.partitions, *order)
        files.write_one(parted.sortWithinPartitions(*order), self.staging / name, self.scratch)
        return self.spark.read.parquet(str(self.staging / name))

    def features(self, side: str) -> list[SourceFeature]:
        return [f for f in self.source.features if f.side == side]

    def _titled(self, things: "DataFrame") -> "DataFrame":
        from pyspark.sql import functions as F

        for name in ("title", "genres"):
            if name not in things.columns:
                things = things.withColumn(name, F.lit(None).cast("string"))
        untitled = F.coalesce(F.trim("title"), F.lit("")) == ""
        return things.withColumn("untitled", untitled).withColumn("title", F.when(untitled, F.col(ITEM_ID)).otherwise(F.col("title")))

    def write_blocks(self) -> None:
        """The three splits as MDS blocks, rows in one global random order, written where the rows are."""
        from pyspark.sql import functions as F

        schema = self.schema()
        self.block_rows = min(max(self.counts["interactions"][TRAIN] // BLOCKS_WANTED, MIN_BLOCK), MAX_BLOCK)
        writer = BlockWriter(
            out=str(self.staging),
            block_rows=self.block_rows,
            single=tuple(f.name for f in schema.categorical if not f.multi_valued),
            multi=tuple(f.name for f in schema.categorical if f.multi_valued),
            dense=tuple(f.name for f in schema.dense),
        )
        rows = tables.block_rows(self.rows, self.users, self.items, self.liked, self.spec.history)
        order = F.xxhash64("user_id", "item_id", "timestamp", F.lit(self.spec.seed))
        # rows meet in a partition by one hash and stand in it by another: a global shuffle without a sort over everything
        shuffled = rows.withColumn("_order", order).repartition(self.writers, "_order")
        shuffled = shuffled.sortWithinPartitions("_order", "user_id", "item_id", "timestamp", "rating")
        columns = [F.col(name) for name in (*writer.single[1:], *writer.multi, *writer.dense) if name != ITEM_ID]
        encoded = shuffled.select(
            F.spark_partition_id().alias(PARTITION), SPLIT, F.col("user").alias(USER_ID), F.col("item").alias(ITEM_ID),
            *columns, "label", "rating", "timestamp",
        )  # fmt: skip
        written = encoded.mapInArrow(writer, WRITTEN).collect()
        self._merge([tuple(row) for row in written])

    def _merge(self, written: list[tuple[str, str, int, int]]) -> None:
        """One index over the folders of a split; what a failed attempt left is removed."""
        self.importing.join()
        from streaming.base.util import merge_index

        for split in SPLITS:
            folders = sorted(folder for name, folder, _, _ in written if name == split)
            rows = sum(n for name, _, n, _ in written if name == split)
            if rows != self.counts["interactions"][split]:
                raise RuntimeError(f"{self.counts['interactions'][split]:,} rows of {split} became {rows:,} rows in its blocks.")
            for folder in (self.staging / split).iterdir():
                if f"{split}/{folder.name}" not in folders:
                    shutil.rmtree(folder)
            merge_index([str(self.staging / folder / "index.json") for folder in folders], str(self.staging / split))

    def write_ranking(self) -> None:
        """The fixed sample of users to rank for, with what they met and what they went on to like."""
        eligible = tables.ranking_users(self.rows).persist()
        found = {row[0]: row[1] for row in eligible.groupBy(SPLIT).count().collect()}
        self.counts["users_to_rank"] = {name: found.get(name, 0) for name in (VALID, TEST)}
        self.counts["sampled_users"] = {name: min(found.get(name, 0), self.spec.eval_users) for name in (VALID, TEST)}
        sample = tables.sample_users(eligible, self.spec.eval_users, self.spec.seed).persist()
        features = [f"`{n}`" for n in self.users.columns if n.startswith(FEATURE)]
        ranking = sample.join(tables.seen_in_train(self.rows, sample), USER_ID).join(self.users.select(USER_ID, *features), USER_ID)
        columns = [SPLIT, "user", USER_ID, "seen", "relevant", *features]
        ordered = ranking.repartition(1).sortWithinPartitions(SPLIT, "_order", USER_ID).select(*columns)
        files.write_parts(ordered, SPLIT, self.staging / "ranking", self.scratch)
        empty = ranking.select(*columns[1:]).limit(0)
        for name in (VALID, TEST):
            if not found.get(name):
                files.write_one(empty, self.staging / "ranking" / f"{name}.parquet", self.scratch)

    def write_baselines(self) -> None:
        """Popularity and random under the protocol."""
        from workers.evaluate import write_baselines

        shutil.rmtree(self.scratch, ignore_errors=True)
        write_baselines(self.staging)
        self.spark.catalog.clearCache()

    def schema(self) -> FeatureSchema:
        """The features of this dataset, in the order that they have everywhere."""
        history = [Categorical(name=HISTORY, side="user", num_rows=self.sizes[ITEM_ID] + 1, multi_valued=True, vocabulary=ITEM_ID)]
        order: list[Categorical] = []
        for side, key in (("user", USER_ID), ("item", ITEM_ID)):
            own = [f for f in self.source.features if f.side == side and f.kind != "dense"]
            order += [self._categorical(f) for f in (SourceFeature(key, side, "single"), *own)]  # type: ignore[arg-type]
            order += history if side == "user" and self.spec.history else []
        dense = [f for f in self.source.features if f.kind == "dense"]
        scaled = tuple(Dense(name=f.name, side=f.side, mean=self.scales[f.name][0], std=self.scales[f.name][1]) for f in dense)
        return FeatureSchema(categorical=tuple(order), dense=scaled)

    def _categorical(self, f: SourceFeature) -> Categorical:
        rows = self.sizes.get(f.name, 0) + 1
        return Categorical(name=f.name, side=f.side, num_rows=rows, multi_valued=f.kind == "multi", vocabulary=f.name)

    def facts(self) -> dict[str, Any]:
        """This build's part of the manifest."""
        label = {"kind": self.spec.label.kind, "threshold": self.threshold, "mean": self.mean}
        schema = self.schema().model_dump(mode="json")
        return {
            "schema": schema, "counts": self.counts, "label": label, "split": self.split, "block_rows": self.block_rows, "columns": COLUMNS
        }  # fmt: skip


Build.STEPS = {
    "starting Spark and reading": Build.load,
    "splitting and labelling": Build.split_and_label,
    "numbering users, items and features": Build.number,
    "writing interactions": Build.write_interactions,
    "writing users and items": Build.write_people_and_things,
    "shuffling and writing blocks": Build.write_blocks,
    "choosing users to rank for": Build.write_ranking,
    "measuring popularity and random": Build.write_baselines,
}
