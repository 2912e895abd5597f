"""Spark: the users to rank for, the items they have seen, and ratings of sets of items, as the protocol reads them."""

from functools import reduce
from typing import TYPE_CHECKING

from engine.datasets import OF_EACH_USER, DatasetSpec, RandomSplit, TimeSplit
from engine.prepare import features, files
from engine.prepare.results import EntityTables, Interactions, LabelledRows, Preparation, RankingUsers, SourceRows, Vocabularies
from engine.prepare.rows import by_chance
from workers.artifacts import FEATURE, LAST, NEXT, SETS, TEST, TRAIN, VALID
from workers.batches import SPLIT
from workers.specs import HISTORY, ITEM_ID, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write(
    preparation: Preparation, source: SourceRows, labelled: LabelledRows, vocabularies: Vocabularies, interactions: Interactions,
    tables: EntityTables,
) -> RankingUsers | None:  # fmt: skip
    """Write the fixed sample of users to rank for, with the items seen before and the relevant ones, and the ratings of sets.

    None where the source has no users or no items.
    """
    from pyspark.sql import functions as F

    if tables.users is None or not preparation.can_rank:
        return None
    spec, users, rows = preparation.spec, tables.users.table, interactions.rows
    timed = preparation.reading.time is not None
    eligible = ranking_users(rows, timed).persist()
    counts = {row[0]: row[1] for row in eligible.groupBy(SPLIT).count().collect()}
    sample = sample_users(eligible, spec.eval_users, spec.seed).persist()
    ranking = sample.join(seen_before(rows, sample), [SPLIT, USER_ID]).join(users.select(USER_ID, *_features(users)), USER_ID)
    if preparation.has_histories:
        ranking = _with_history(ranking, rows, spec.history)
    columns = [SPLIT, "user", USER_ID, "seen", "relevant", *((NEXT, LAST) if timed else ()), *_features(users)]
    ordered = ranking.repartition(1).sortWithinPartitions(SPLIT, "_order", USER_ID).select(*columns)
    files.write_parts(ordered, SPLIT, preparation.staging / "ranking", preparation.scratch)
    empty = ranking.select(*columns[1:]).limit(0)
    for name in (VALID, TEST):
        if not counts.get(name):
            files.write_one(empty, preparation.staging / "ranking" / f"{name}.parquet", preparation.scratch)
    sets = source.tables.sets
    if sets is not None:
        sets = sets.where(F.col("rating").isNotNull())
    return RankingUsers(
        qualified={name: counts.get(name, 0) for name in (VALID, TEST)},
        sampled={name: min(counts.get(name, 0), spec.eval_users) for name in (VALID, TEST)},
        sets=None
        if sets is None
        else _write_sets(preparation, sets.where(F.col("rating").isNotNull()), labelled, vocabularies, rows, users),
    )


def _write_sets(
    preparation: Preparation, sets: "DataFrame", labelled: LabelledRows, vocabularies: Vocabularies, rows: "DataFrame", users: "DataFrame"
) -> dict[str, int]:
    """Write ratings of sets; returns split -> number of sets."""
    split = split_sets(sets, rows, preparation.spec, labelled.times).persist()
    counts = {row[0]: row[1] for row in split.groupBy(SPLIT).count().collect()}
    if not counts.keys() - {TEST} and "weight" not in rows.columns:  # all were rated later: some are needed to scale the scores
        split = split_sets(sets, rows, preparation.spec.model_copy(update={"split": RandomSplit()}), None).persist()
        counts = {row[0]: row[1] for row in split.groupBy(SPLIT).count().collect()}
    ratings, raters = set_tables(split, rows, users, vocabularies.rows)
    folder, scratch = preparation.staging / SETS, preparation.scratch
    files.write_one(ratings.repartition(1).sortWithinPartitions(SPLIT, "place"), folder / "sets.parquet", scratch)
    files.write_one(raters.coalesce(1), folder / "users.parquet", scratch)
    return counts


def ranking_users(rows: "DataFrame", timed: bool = False) -> "DataFrame":
    """split, user_id, user, relevant: users in train, and the items of train that they liked in valid or test and had not seen before.

    timed: whether rows have times; then also which of these items each user liked first in the split, and which one last: `next`, `last`.
    Of items with the same time a hash decides, as if they had been drawn.
    """
    from pyspark.sql import functions as F

    held_out = rows.where((F.col("split") != TRAIN) & (F.col("label") > 0) & (F.col("user") > 0) & (F.col("item") > 0))
    pair = ["split", "user_id", "user", "item"]
    if not timed:
        new = _unseen(held_out.select(*pair).distinct(), rows)
        return new.groupBy("split", "user_id", "user").agg(F.sort_array(F.collect_list("item")).alias("relevant"))
    parts = [F.col("timestamp"), *([F.coalesce("subsecond", F.lit(0))] if "subsecond" in rows.columns else [])]
    moment = F.struct(*parts, F.xxhash64("user_id", "item").alias("_chance"))
    pairs = held_out.groupBy(*pair).agg(F.min(moment).alias("_first"), F.max(moment).alias("_last"))
    new = _unseen(pairs, rows)
    return new.groupBy("split", "user_id", "user").agg(
        F.sort_array(F.collect_list("item")).alias("relevant"),
        F.min_by("item", "_first").alias(NEXT),
        F.max_by("item", "_last").alias(LAST),
    )


def sample_users(eligible: "DataFrame", most: int, seed: int) -> "DataFrame":
    """The first `most` users of each split by a hash of their id, with that hash as `_order`."""
    from pyspark.sql import functions as F

    hashed = eligible.withColumn("_order", F.xxhash64("user_id", F.lit(seed)))
    parts = [hashed.where(F.col("split") == name).orderBy("_order", "user_id").limit(most) for name in (VALID, TEST)]
    return reduce(lambda a, b: a.unionByName(b), parts)


def _unseen(pairs: "DataFrame", rows: "DataFrame") -> "DataFrame":
    """Pairs of user and item of valid and test (split, user_id, item, …) that are in no split before."""
    from pyspark.sql import functions as F

    pair = ["user_id", "item"]
    in_train, in_valid = (rows.where(F.col("split") == name).select(*pair).distinct() for name in (TRAIN, VALID))
    before_test = in_valid.withColumn("split", F.lit(TEST))
    return pairs.join(in_train, pair, "left_anti").join(before_test, ["split", *pair], "left_anti")


def seen_before(rows: "DataFrame", users: "DataFrame") -> "DataFrame":
    """split, user_id, seen: every item (row) of train that these users have in splits before theirs.

    Args:
        users: split (valid or test) and user_id, each once.
    """
    from pyspark.sql import functions as F

    met = rows.where((F.col("split") != TEST) & (F.col("item") > 0)).select("user_id", "item", F.col("split").alias("_met"))
    before = (F.col("_met") == TRAIN) | (F.col("split") == TEST)
    pairs = met.join(users.select("split", "user_id"), "user_id").where(before)
    return pairs.groupBy("split", "user_id").agg(F.sort_array(F.collect_set("item")).alias("seen"))


def _with_history(ranking: "DataFrame", rows: "DataFrame", most: int) -> "DataFrame":
    """Users to rank for, of whom those of valid have the history of train alone: what came before."""
    from pyspark.sql import functions as F

    name = FEATURE + HISTORY
    own = rows.join(ranking.where(F.col(SPLIT) == VALID).select(USER_ID), USER_ID, "left_semi")
    joined = ranking.join(features.liked_in(own, (TRAIN,), most), USER_ID, "left")
    of_train = features.or_empty(F.col("liked"))
    return joined.withColumn(name, F.when(F.col(SPLIT) == VALID, of_train).otherwise(F.col(f"`{name}`"))).drop("liked")


def split_sets(sets: "DataFrame", rows: "DataFrame", spec: DatasetSpec, times: tuple[int, int] | None) -> "DataFrame":
    """Sets with `split`, in the same split as interactions of the same user and time, since models may have trained on both; at random in
    a split per user where models do not train on sets.

    Args:
        rows: the interactions. times: where valid and test begin (unix s) in a split by time.
    """
    from pyspark.sql import functions as F

    moment = F.col("timestamp")
    if isinstance(spec.split, TimeSplit) and spec.split.until < 1:  # the rows end before the sets do
        last = (rows.agg(F.max("timestamp")).first() or (None,))[0]
        sets = sets.where(moment <= last)
    if times:
        return sets.withColumn("split", F.when(moment >= times[1], TEST).when(moment >= times[0], VALID).otherwise(TRAIN))
    if spec.split.kind in OF_EACH_USER and "weight" in rows.columns:
        first = [F.min(F.when(F.col("split") == name, moment)).alias(f"_{name}") for name in (VALID, TEST)]
        joined = sets.join(rows.groupBy(USER_ID).agg(*first), USER_ID, "left")
        return joined.withColumn(
            "split", F.when(moment >= F.col("_test"), TEST).when(moment >= F.col("_valid"), VALID).otherwise(TRAIN)
        ).drop("_valid", "_test")
    test, valid = (spec.split.test, spec.split.valid) if isinstance(spec.split, RandomSplit) else (0.1, 0.1)
    chance = by_chance([USER_ID, "timestamp"], spec.seed)
    return sets.withColumn("split", F.when(chance < test, TEST).when(chance < test + valid, VALID).otherwise(TRAIN))


def set_tables(sets: "DataFrame", rated: "DataFrame", users: "DataFrame", vocabulary: "DataFrame") -> tuple["DataFrame", "DataFrame"]:
    """Set ratings as the protocol reads them.

    Args:
        sets: with `split`. rated: interactions. users: users.parquet. vocabulary: name, value, row.

    Returns:
        split, place, items (rows, 0 for items not in train), rating, user_mean (of the user's sets in train; else of the user's
        items there; else of all users); and the users at those places: user_id, user and their encoded features.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    raters = sets.select(USER_ID).distinct().join(users.select(USER_ID, F.col("row").alias("user"), *_features(users)), USER_ID)
    placed = raters.withColumn("place", F.row_number().over(Window.orderBy(USER_ID)) - 1).persist()
    train, rated_in_train = (table.where(F.col("split") == TRAIN) for table in (sets, rated))
    overall = next(
        (F.lit(row[0]) for row in (table.agg(F.avg("rating")).first() for table in (train, rated_in_train)) if row and row[0]), F.lit(0.0)
    )
    means = train.groupBy(USER_ID).agg(F.avg("rating").alias("_mean"))
    of_items = rated_in_train.groupBy(USER_ID).agg(F.avg("rating").alias("_of_items"))
    items = vocabulary.where(F.col("name") == ITEM_ID).select(F.col("value").alias("_item"), F.col("row").alias("_row"))
    numbered = sets.withColumn("_set", F.monotonically_increasing_id()).persist()
    rows = (
        numbered.select("_set", F.posexplode("item_ids").alias("_at", "_item"))
        .join(items, "_item", "left")
        .groupBy("_set")
        .agg(F.sort_array(F.collect_list(F.struct("_at", F.coalesce("_row", F.lit(0)).alias("_row"))))["_row"].alias("items"))
    )
    joined = numbered.join(rows, "_set").join(placed.select(USER_ID, "place"), USER_ID).join(means, USER_ID, "left")
    joined = joined.join(of_items, USER_ID, "left")
    user_mean = F.coalesce("_mean", "_of_items", overall).alias("user_mean")
    ratings = joined.select("split", "place", "items", F.col("rating").cast("float").alias("rating"), user_mean)
    return ratings.orderBy("split", "place"), placed.orderBy("place").drop("place")


def _features(table: "DataFrame") -> list[str]:
    return [f"`{name}`" for name in table.columns if name.startswith(FEATURE)]
