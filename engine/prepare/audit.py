"""Spark: the audit of all rows, out of counts. `engine.preview.audit` finds the same figures in a preview."""

from functools import reduce
from typing import TYPE_CHECKING, Any

import pandas as pd

from engine.datasets import AUDIT, Audit, FeatureFacts, SplitFacts
from engine.prepare import files
from engine.preview import DENSE_BINS, MOST_VALUES, RATING_BINS, SPLITS, TOP, list_findings
from engine.preview import audit as facts
from workers.artifacts import FEATURE, ORACLE, TEST, TRAIN, write_json
from workers.batches import SPLIT
from workers.prepare import SourceFeature
from workers.specs import ITEM_ID, USER_ID

ORACLE_ROWS = 2_000_000

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from engine.prepare.build import Build


def write(build: "Build") -> None:
    """What was found, for people; and, of made data, what the best model could know."""
    write_json(build.staging / AUDIT, audit(build).as_json())
    if "oracle" in build.labelled.columns:
        _write_oracle(build)


def _write_oracle(build: "Build") -> None:
    """The true logits of test rows, and whether train met their user and item: what the models' AUC is over."""
    from pyspark.sql import functions as F

    ids = [key for key in (USER_ID, ITEM_ID) if key in build.labelled.columns]
    test = build.labelled.where(f"{SPLIT} = '{TEST}'").select(F.col("oracle").alias("logit"), "label", *ids).limit(ORACLE_ROWS)
    known = F.lit(True)
    for key, table in ((USER_ID, build.people), (ITEM_ID, build.things)):
        if table is not None:
            met = table.select(key, (F.col("train_count") > 0).alias(f"_{key}"))
            test, known = test.join(met, key, "left"), known & F.coalesce(F.col(f"_{key}"), F.lit(False))
    files.write_one(test.select("logit", "label", known.alias("known")).repartition(1), build.staging / ORACLE, build.scratch)


def audit(build: "Build") -> Audit:
    """What was found in all of the source. Nothing but counts comes to the driver."""
    rows, counts, reading = build.labelled, build.counts, build.reading
    ratings, width = _ratings(rows) if "rating" in rows.columns else ([], None)
    users, items = _counts_of_counts(build.people), _counts_of_counts(build.things)
    first, last = _span(rows) if reading.time else (None, None)
    timeline = _timeline(rows, first, last) if first is not None and last is not None else None
    found = Audit(
        rows_read=counts["rows_read"],
        rows_used=counts["rows_used"],
        set_aside=counts["set_aside"],
        truncated=False,
        output=build.rule.output,
        classes=build.rule.classes,
        threshold=build.rule.threshold,
        rating_bin=width,
        ratings=ratings,
        categories=_categories(rows),
        exact_copies=build.pairs.copies,
        repeated_pairs=build.pairs.repeated,
        conflicting_pairs=build.pairs.conflicting,
        items_without_title=counts.get("items_without_title", 0),
        splits=_splits(build),
        first=first,
        last=last,
        time=reading.time,
        features=_features(build),
        **facts.from_counts(counts["rows_used"], users, items, timeline),
    )
    return found.model_copy(update={"findings": list_findings(found, build.spec, _odd_ids(build))})


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


def _counts_of_counts(table: "DataFrame | None") -> pd.DataFrame | None:
    """n, many: how many users (or items) have n interactions; those without any left out."""
    if table is None:
        return None
    found = table.where("interactions > 0").groupBy("interactions").count().collect()
    return pd.DataFrame([(int(n), int(many)) for n, many in found], columns=["n", "many"])


def _span(rows: "DataFrame") -> tuple[int, int]:
    from pyspark.sql import functions as F

    low, high = rows.agg(F.min("timestamp"), F.max("timestamp")).first() or (0, 0)
    return int(low), int(high)


def _timeline(rows: "DataFrame", first: int, last: int) -> pd.DataFrame:
    from pyspark.sql import functions as F

    width = facts.bin_width(first, last)
    bins = (F.floor((F.col("timestamp") - first) / width) * width + first).alias("bin")
    found = rows.groupBy(bins, "split").agg(F.count("*"), F.sum("label")).orderBy("bin", "split").collect()
    return pd.DataFrame([(int(b), s, int(n), float(p)) for b, s, n, p in found], columns=["bin", "split", "rows", "positives"])


def _splits(build: "Build") -> dict[str, SplitFacts]:
    from pyspark.sql import functions as F

    known: dict[str, dict[str, int]] = {name: {} for name in SPLITS}
    for side, table in (("user", build.people), ("item", build.things)):
        if table is None:
            continue
        cold = F.col("train_count") == 0
        wanted = []
        for name in SPLITS:
            here = F.col(f"{name}_count")
            wanted += [F.count_if(here > 0), F.count_if(cold & (here > 0)), F.sum(F.when(cold, here))]
        row: Any = table.agg(*wanted).first()
        for place, name in enumerate(SPLITS):
            n, strangers, their_rows = (int(x or 0) for x in row[3 * place : 3 * place + 3])
            known[name] |= {f"{side}s": n, f"cold_{side}s": strangers, f"cold_{side}_rows": their_rows}
    for name, n in build.counts.get("users_to_rank", {}).items():
        known[name]["users_to_rank"] = n
    rows, liked = build.counts["interactions"], build.counts["positives"]
    return {name: SplitFacts(rows=rows[name], positives=liked[name], **known[name]) for name in SPLITS}


def _features(build: "Build") -> list[FeatureFacts]:
    """Facts of every feature, a few passes over each table whatever the number of features."""
    found: dict[str, FeatureFacts] = {}
    for side, table in (("user", build.people), ("item", build.things), ("context", build.labelled)):
        own = build.features(side)
        dense, categories = [f for f in own if f.kind == "dense"], [f for f in own if f.kind != "dense"]
        if table is not None and dense:
            found |= _dense(dense, table)
        if table is not None and categories:
            found |= _categories_of(build, side, categories, table)
    return [found[f.name] for f in build.own_features]


def _dense(features: list[SourceFeature], table: "DataFrame") -> dict[str, FeatureFacts]:
    from pyspark.sql import functions as F

    context = features[0].side == "context"
    met = F.when(F.col("split") == TRAIN, 1).otherwise(0) if context else F.col("train_count")
    asked = []
    for f in features:
        value = F.col(f.name).cast("double")
        weight = F.when(value.isNotNull(), met)
        asked += [F.count(value), F.min(value), F.max(value), F.avg(value)]
        asked += [F.sum(weight), F.sum(weight * value), F.sum(weight * value * value)]
    row: Any = table.agg(F.count("*"), *asked).first()
    found = {}
    for place, f in enumerate(features):
        known, low, high, plain, total, summed, squares = row[1 + 7 * place : 8 + 7 * place]
        facts_: dict[str, Any] = {"name": f.name, "side": f.side, "kind": f.kind, "rows": row[0]}
        facts_["missing"] = 1 - known / row[0] if row[0] else 0.0
        if known:
            mean = summed / total if total else plain
            std = max(0.0, squares / total - mean**2) ** 0.5 if total else 0.0
            facts_ |= {"mean": mean, "std": std, "low": low, "high": high}
        found[f.name] = FeatureFacts(**facts_)
    return {
        name: one.model_copy(update={"histogram": bins}) for (name, one), bins in zip(found.items(), _histograms(found, table), strict=True)
    }


def _histograms(found: dict[str, FeatureFacts], table: "DataFrame") -> list[list[tuple[float, int]]]:
    """(left edge, rows) of each feature, in order; empty where it has no value."""
    from pyspark.sql import functions as F

    widths = {f.name: ((f.high - f.low) / DENSE_BINS or 1.0) for f in found.values() if f.low is not None and f.high is not None}
    parts = []
    for name, width in widths.items():
        bins = F.least(F.floor((F.col(name).cast("double") - found[name].low) / width), F.lit(DENSE_BINS - 1))
        parts.append(table.where(F.col(name).isNotNull()).groupBy(bins.alias("bin")).count().select(F.lit(name), "bin", "count"))
    counts = reduce(lambda a, b: a.union(b), parts).collect() if parts else []
    lows = {name: found[name].low or 0.0 for name in widths}
    return [sorted((lows[name] + k * widths[name], int(n)) for of, k, n in counts if of == name) for name in found]


def _categories_of(build: "Build", side: str, features: list[SourceFeature], table: "DataFrame") -> dict[str, FeatureFacts]:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    names = [f.name for f in features]
    row: Any = table.agg(F.count("*"), *map(F.count, names)).first()
    known = dict(zip(names, row[1:], strict=True))
    of_train = build.every_value.where(F.col("name").isin(names))
    sizes = {
        r[0]: (r[1], r[2]) for r in of_train.groupBy("name").agg(F.count("*"), F.count_if(F.col("count") < build.spec.min_count)).collect()
    }
    place = F.row_number().over(Window.partitionBy("name").orderBy(F.desc("count"), "value"))
    top = of_train.withColumn("_place", place).where(F.col("_place") <= TOP).orderBy("name", "_place").collect()
    unknown = _unknown_context(build, features) if side == "context" else _unknown_of_table(build, side, features)
    found = {}
    for f in features:
        hashed = f.name in build.spec.hashed
        distinct, rare = sizes.get(f.name, (0, 0))
        found[f.name] = FeatureFacts(
            name=f.name,
            side=f.side,
            kind=f.kind,
            rows=row[0],
            missing=1 - known[f.name] / row[0] if row[0] else 0.0,
            distinct=distinct,
            top=[(r["value"], r["count"]) for r in top if r["name"] == f.name],
            unknown=dict.fromkeys(SPLITS, 0.0) if hashed else unknown[f.name],
            rare=None if hashed else rare,
            collisions=_collisions(of_train.where(F.col("name") == f.name), build.spec.hash_rows) if hashed else None,
        )
    return found


def _unknown_context(build: "Build", features: list[SourceFeature]) -> dict[str, dict[str, float]]:
    """Share of the values of each split that have no row: feature -> split -> share."""
    from pyspark.sql import functions as F

    asked = []
    for f in features:
        column = F.col(f"`{FEATURE + f.name}`")
        bag = f.kind == "multi"
        asked += [F.sum(F.size(F.filter(column, lambda row: row == 0))) if bag else F.count_if(column == 0)]
        asked += [F.sum(F.size(column)) if bag else F.count("*")]
    strange = {r[0]: r[1:] for r in build.rows.groupBy("split").agg(*asked).collect()}
    gaps = [F.count_if(F.isnull(f.name)) if f.kind == "single" else F.lit(0) for f in features]
    missing = {r[0]: r[1:] for r in build.labelled.groupBy("split").agg(*gaps).collect()}
    return {
        f.name: {s: _share((strange[s][2 * k] or 0) - missing[s][k], (strange[s][2 * k + 1] or 0) - missing[s][k]) for s in SPLITS}
        for k, f in enumerate(features)
    }


def _unknown_of_table(build: "Build", side: str, features: list[SourceFeature]) -> dict[str, dict[str, float]]:
    """The same of users or items, each as often as it was met."""
    from pyspark.sql import functions as F

    rows = build.user_rows if side == "user" else build.item_rows
    sums = [F.sum(F.when(test, F.col(f"{s}_count"))) for s in SPLITS for test in (F.col("row") == 0, F.lit(True))]
    found = {r[0]: r[1:] for r in rows.groupBy("name").agg(*sums).collect()}
    none = (0,) * (2 * len(SPLITS))
    return {
        f.name: {s: _share(found.get(f.name, none)[2 * k] or 0, found.get(f.name, none)[2 * k + 1] or 0) for k, s in enumerate(SPLITS)}
        for f in features
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _collisions(of_train: "DataFrame", rows: int) -> float:
    from pyspark.sql import functions as F

    taken = of_train.groupBy(F.pmod(F.xxhash64("value"), F.lit(rows)).alias("at")).count()
    shared, every = taken.agg(F.sum(F.when(F.col("count") > 1, F.col("count"))), F.sum("count")).first() or (0, 0)
    return _share(shared or 0, every or 0)


def _odd_ids(build: "Build") -> dict[str, int]:
    """Kinds of ids that other tools spoil -> how many different ids are of that kind."""
    from pyspark.sql import functions as F

    found: dict[str, int] = {}
    for side, table in (("user", build.people), ("item", build.things)):
        if table is not None:
            key = F.col(f"{side}_id")
            kinds = {
                f"{side} ids begin with zeros": key.rlike(r"^0\d+$"),
                f"{side} ids have 16 digits or more": key.rlike(r"^\d{16,}$"),
                f"{side} ids read like a missing value": F.lower(key).isin("na", "nan", "null", "none", "n/a"),
                f"{side} ids have spaces around them": key != F.trim(key),
            }
            row: Any = table.where("interactions > 0").agg(*map(F.count_if, kinds.values())).first()
            found |= dict(zip(kinds, row, strict=True))
    return {what: n for what, n in found.items() if n}
