"""Spark: the audit of all rows, from counts. `engine.preview.audit` computes the same figures for a preview."""

from functools import reduce
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.datasets import AUDIT, Audit, FeatureFacts, SplitFacts
from engine.prepare import checks, files, leaks, order
from engine.prepare.jobs import side_by_side
from engine.prepare.results import EntityRows, EntityTables, Preparation, Results, Vocabularies
from engine.preview import DENSE_BINS, MOST_VALUES, RATING_BINS, SPLITS, TOP, list_findings, with_label_auc
from engine.preview import audit as facts
from workers.artifacts import FEATURE, ORACLE, TEST, TRAIN, write_json
from workers.batches import SPLIT
from workers.prepare import SourceFeature
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ORACLE_ROWS = 2_000_000


def write(preparation: Preparation, results: Results) -> None:
    """Write the audit and, for made data, the true logits."""
    write_json(preparation.staging / AUDIT, audit(preparation, results).as_json())
    if "oracle" in results.labelled.rows.columns:
        _write_oracle(preparation, results.labelled.rows, results.vocabularies)


def _write_oracle(preparation: Preparation, rows: "DataFrame", vocabularies: Vocabularies) -> None:
    """The true logits of test rows, and whether train has their user and item: the best AUC that a model could reach."""
    from pyspark.sql import functions as F

    ids = [key for key in (USER_ID, ITEM_ID) if key in rows.columns]
    test = rows.where(f"{SPLIT} = '{TEST}'").select(F.col("oracle").alias("logit"), "label", *ids).limit(ORACLE_ROWS)
    known = F.lit(True)
    for one in vocabularies.entities:
        in_train = one.table.select(one.key, (F.col("train_count") > 0).alias(f"_{one.key}"))
        test, known = test.join(in_train, one.key, "left"), known & F.coalesce(F.col(f"_{one.key}"), F.lit(False))
    oracle = test.select("logit", "label", known.alias("known")).repartition(1)
    files.write_one(oracle, preparation.staging / ORACLE, preparation.scratch)


def audit(preparation: Preparation, results: Results) -> Audit:
    """Figures and findings of all rows. Only counts come to the driver."""
    rows, rule, usable, vocabularies = results.labelled.rows, results.labelled.rule, results.usable, results.vocabularies
    with side_by_side(preparation) as pool:
        features = pool.submit(_features, preparation, results)
        timeline = pool.submit(_timeline, rows) if preparation.reading.time else None
        counts = [pool.submit(_counts_of_counts, one) for one in (vocabularies.users, vocabularies.items)]
        splits, odd = pool.submit(_splits, results), pool.submit(checks.odd_ids, vocabularies)
        ratings, width = _ratings(rows) if "rating" in rows.columns else ([], None)
        first, last, moments = timeline.result() if timeline else (None, None, None)
        users, items = [one.result() for one in counts]
    figures = Audit(
        rows_read=results.source.total,
        rows_used=usable.total,
        set_aside=usable.set_aside,
        truncated=False,
        output=rule.output,
        classes=rule.classes,
        threshold=rule.threshold,
        rating_bin=width,
        ratings=ratings,
        categories=_categories(rows),
        weights=checks.weights(rows),
        joins=checks.joins(vocabularies),
        exact_copies=usable.pairs.copies,
        repeated_pairs=usable.pairs.repeated,
        conflicting_pairs=usable.pairs.conflicting,
        items_without_title=results.tables.items.untitled if results.tables.items else 0,
        splits=splits.result(),
        first=first,
        last=last,
        time=preparation.reading.time,
        order=order.measure(preparation, results),
        features=features.result(),
        **facts.from_counts(usable.total, users, items, moments),
    )
    return figures.model_copy(update={"findings": list_findings(figures, preparation.spec, odd.result())})


def _ratings(rows: "DataFrame") -> tuple[list[tuple[float, int]], float | None]:
    from pyspark.sql import functions as F

    counts = rows.groupBy("rating").count().limit(MOST_VALUES + 1).collect()
    if len(counts) <= MOST_VALUES:
        return sorted((float(value), int(n)) for value, n in counts), None
    low, high = rows.agg(F.min("rating"), F.max("rating")).first() or (0, 1)
    width = (high - low) / RATING_BINS
    bins = F.least(F.floor((F.col("rating") - low) / width), F.lit(RATING_BINS - 1)).alias("bin")
    return sorted((low + k * width, int(n)) for k, n in rows.groupBy(bins).count().collect()), width


def _categories(rows: "DataFrame") -> list[tuple[str, int]]:
    from pyspark.sql import functions as F

    if "category" in rows.columns:
        kinds = rows.select(F.explode(F.split("category", r"\|")).alias("kind")).groupBy("kind").count()
        return [(str(k), int(n)) for k, n in kinds.orderBy(F.desc("count"), "kind").limit(MOST_VALUES).collect()]
    names = [name for name in rows.columns if name.startswith("action.")]
    if not names:
        return []
    sums: Any = rows.agg(*(F.sum(f"`{name}`") for name in names)).first()
    return [(name.removeprefix("action."), int(n or 0)) for name, n in zip(names, sums, strict=True)]


def _counts_of_counts(entity: EntityRows | None) -> pd.DataFrame | None:
    """n, many: how many users (or items) have n interactions; those without any are left out."""
    if entity is None:
        return None
    counts = entity.table.where("interactions > 0").groupBy("interactions").count().collect()
    return pd.DataFrame([(int(n), int(many)) for n, many in counts], columns=["n", "many"])


def _timeline(rows: "DataFrame") -> tuple[int, int, pd.DataFrame]:
    """The first and the last time (unix s), and the rows of each split between them."""
    from pyspark.sql import functions as F

    low, high = rows.agg(F.min("timestamp"), F.max("timestamp")).first() or (0, 0)
    first, last = int(low), int(high)
    width = facts.bin_width(first, last)
    bins = (F.floor((F.col("timestamp") - first) / width) * width + first).alias("bin")
    counts = rows.groupBy(bins, "split").agg(F.count("*"), F.sum("label")).orderBy("bin", "split").collect()
    return (
        first,
        last,
        pd.DataFrame([(int(b), s, int(n), float(p)) for b, s, n, p in counts], columns=["bin", "split", "rows", "positives"]),
    )


def _splits(results: Results) -> dict[str, SplitFacts]:
    from pyspark.sql import functions as F

    known: dict[str, dict[str, int]] = {name: {} for name in SPLITS}
    for side, table in ((one.side, one.table) for one in results.vocabularies.entities):
        cold = F.col("train_count") == 0
        wanted = []
        for name in SPLITS:
            here = F.col(f"{name}_count")
            wanted += [F.count_if(here > 0), F.count_if(cold & (here > 0)), F.sum(F.when(cold, here))]
        row: Any = table.agg(*wanted).first()
        for place, name in enumerate(SPLITS):
            n, strangers, their_rows = (int(x or 0) for x in row[3 * place : 3 * place + 3])
            known[name] |= {f"{side}s": n, f"cold_{side}s": strangers, f"cold_{side}_rows": their_rows}
    for name, n in (results.ranking.qualified if results.ranking else {}).items():
        known[name]["users_to_rank"] = n
    sizes, liked = results.labelled.sizes, results.interactions.positives
    return {name: SplitFacts(rows=sizes[name], positives=liked[name], **known[name]) for name in SPLITS}


def _features(preparation: Preparation, results: Results) -> list[FeatureFacts]:
    """Facts of every feature, in a few passes over each table whatever the number of features."""
    if not preparation.features:
        return []
    tables = [*((one.side, one.table) for one in results.vocabularies.entities), ("context", results.labelled.rows)]
    with side_by_side(preparation) as pool:
        sample, parts = pool.submit(leaks.sample, preparation, results), []
        for side, table in tables:
            own = preparation.features_of(side)
            dense, categories = [f for f in own if f.kind == "dense"], [f for f in own if f.kind != "dense"]
            if dense:
                parts.append(pool.submit(_dense, dense, table))
            if categories:
                parts.append(pool.submit(_categories_of, preparation, results, side, categories, table))
        facts_of = {name: one for part in parts for name, one in part.result().items()}
        return with_label_auc([facts_of[f.name] for f in preparation.features], sample.result())


def _dense(features: list[SourceFeature], table: "DataFrame") -> dict[str, FeatureFacts]:
    from pyspark.sql import functions as F

    context = features[0].side == "context"
    rows_in_train = F.when(F.col("split") == TRAIN, 1).otherwise(0) if context else F.col("train_count")
    aggregates = []
    for f in features:
        value = F.col(f.name).cast("double")
        weight = F.when(value.isNotNull(), rows_in_train)
        aggregates += [F.count(value), F.min(value), F.max(value), F.avg(value)]
        aggregates += [F.sum(weight), F.sum(weight * value), F.sum(weight * value * value)]
    row: Any = table.agg(F.count("*"), *aggregates).first()
    facts_of = {}
    for place, f in enumerate(features):
        known, low, high, plain, total, summed, squares = row[1 + 7 * place : 8 + 7 * place]
        facts_: dict[str, Any] = {"name": f.name, "side": f.side, "kind": f.kind, "rows": row[0]}
        facts_["missing"] = 1 - known / row[0] if row[0] else 0.0
        if known:
            mean = summed / total if total else plain
            std = max(0.0, squares / total - mean**2) ** 0.5 if total else 0.0
            facts_ |= {"mean": mean, "std": std, "low": low, "high": high}
        facts_of[f.name] = FeatureFacts(**facts_)
    return {
        name: one.model_copy(update={"histogram": bins})
        for (name, one), bins in zip(facts_of.items(), _histograms(facts_of, table), strict=True)
    }


def _histograms(features: dict[str, FeatureFacts], table: "DataFrame") -> list[list[tuple[float, int]]]:
    """(left edge, rows) of each feature, in order; empty where it has no value."""
    from pyspark.sql import functions as F

    widths = {f.name: ((f.high - f.low) / DENSE_BINS or 1.0) for f in features.values() if f.low is not None and f.high is not None}
    parts = []
    for name, width in widths.items():
        bins = F.least(F.floor((F.col(name).cast("double") - features[name].low) / width), F.lit(DENSE_BINS - 1))
        parts.append(table.where(F.col(name).isNotNull()).groupBy(bins.alias("bin")).count().select(F.lit(name), "bin", "count"))
    counts = reduce(lambda a, b: a.union(b), parts).collect() if parts else []
    lows = {name: features[name].low or 0.0 for name in widths}
    return [sorted((lows[name] + k * widths[name], int(n)) for of, k, n in counts if of == name) for name in features]


def _categories_of(
    preparation: Preparation, results: Results, side: str, features: list[SourceFeature], table: "DataFrame"
) -> dict[str, FeatureFacts]:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    names = [f.name for f in features]
    row: Any = table.agg(F.count("*"), *map(F.count, names)).first()
    known = dict(zip(names, row[1:], strict=True))
    of_train = results.vocabularies.counts.where(F.col("name").isin(names))
    rare_ones = F.count_if(F.col("count") < preparation.spec.min_count)
    sizes = {r[0]: (r[1], r[2]) for r in of_train.groupBy("name").agg(F.count("*"), rare_ones).collect()}
    place = F.row_number().over(Window.partitionBy("name").orderBy(F.desc("count"), "value"))
    top = of_train.withColumn("_place", place).where(F.col("_place") <= TOP).orderBy("name", "_place").collect()
    unknown = _unknown_context(results, features) if side == "context" else _unknown_of_table(results.tables, side, features)
    facts_of = {}
    for f in features:
        hashed = f.name in preparation.spec.hashed
        distinct, rare = sizes.get(f.name, (0, 0))
        facts_of[f.name] = FeatureFacts(
            name=f.name,
            side=f.side,
            kind=f.kind,
            rows=row[0],
            missing=1 - known[f.name] / row[0] if row[0] else 0.0,
            distinct=distinct,
            top=[(r["value"], r["count"]) for r in top if r["name"] == f.name],
            unknown=dict.fromkeys(SPLITS, 0.0) if hashed else unknown[f.name],
            rare=None if hashed else rare,
            collisions=_collisions(of_train.where(F.col("name") == f.name), preparation.spec.hash_rows) if hashed else None,
        )
    return facts_of


def _unknown_context(results: Results, features: list[SourceFeature]) -> dict[str, dict[str, float]]:
    """Share of the values of each split that have no row: feature -> split -> share."""
    from pyspark.sql import functions as F

    aggregates = []
    for f in features:
        column = F.col(f"`{FEATURE + f.name}`")
        bag = f.kind == "multi"
        aggregates += [F.sum(F.size(F.filter(column, lambda row: row == 0))) if bag else F.count_if(column == 0)]
        aggregates += [F.sum(F.size(column)) if bag else F.count("*")]
    strange = {r[0]: r[1:] for r in results.interactions.rows.groupBy("split").agg(*aggregates).collect()}
    gaps = [F.count_if(F.isnull(f.name)) if f.kind == "single" else F.lit(0) for f in features]
    missing = {r[0]: r[1:] for r in results.labelled.rows.groupBy("split").agg(*gaps).collect()}
    return {
        f.name: {s: _share((strange[s][2 * k] or 0) - missing[s][k], (strange[s][2 * k + 1] or 0) - missing[s][k]) for s in SPLITS}
        for k, f in enumerate(features)
    }


def _unknown_of_table(tables: EntityTables, side: str, features: list[SourceFeature]) -> dict[str, dict[str, float]]:
    """The same for features of users or items, each counted as often as the user or item occurs."""
    from pyspark.sql import functions as F

    table = tables.users if side == "user" else tables.items
    assert table is not None
    sums = [F.sum(F.when(test, F.col(f"{s}_count"))) for s in SPLITS for test in (F.col("row") == 0, F.lit(True))]
    counts = {r[0]: r[1:] for r in table.values.groupBy("name").agg(*sums).collect()}
    none = (0,) * (2 * len(SPLITS))
    return {
        f.name: {s: _share(counts.get(f.name, none)[2 * k] or 0, counts.get(f.name, none)[2 * k + 1] or 0) for k, s in enumerate(SPLITS)}
        for f in features
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _collisions(of_train: "DataFrame", rows: int) -> float:
    from pyspark.sql import functions as F

    taken = of_train.groupBy(F.pmod(F.xxhash64("value"), F.lit(rows)).alias("at")).count()
    shared, every = taken.agg(F.sum(F.when(F.col("count") > 1, F.col("count"))), F.sum("count")).first() or (0, 0)
    return _share(shared or 0, every or 0)
