"""The audit of a preview, with pandas. `engine.prepare.audit` computes the same figures with Spark."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from engine.datasets import KNOWN_AT_TEST, DatasetSpec, FeatureFacts, SplitFacts
from engine.preview.leaks import train_rows, with_label_auc
from engine.preview.row_hash import SEED
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import MOMENT, SourceFeature

SPLITS = (TRAIN, VALID, TEST)
TIMELINE_BINS, RATING_BINS, DENSE_BINS, MOST_VALUES, TOP = 60, 60, 20, 100, 5


def rating_counts(values: pd.Series) -> tuple[list[tuple[float, int]], float | None]:
    """(value, rows) of each label, or of 60 bins and their width when there are more than 100 distinct values."""
    counts = values.value_counts()
    if len(counts) <= MOST_VALUES:
        counts = counts.sort_index()
        return [(float(v), int(n)) for v, n in zip(counts.index, counts, strict=True)], None
    low, width = float(values.min()), float(values.max() - values.min()) / RATING_BINS
    bins = pd.Series(np.minimum((values - low) // width, RATING_BINS - 1)).value_counts().sort_index()
    return [(low + k * width, int(n)) for k, n in zip(bins.index, bins, strict=True)], width


def log_bins(counts: pd.DataFrame) -> list[tuple[int, int]]:
    """(n, how many have n .. 2n-1), n a power of two.

    Args:
        counts: n (interactions), many (users or items with so many).
    """
    n = counts["n"].to_numpy()
    powers = 2 ** np.floor(np.log2(np.maximum(n, 1))).astype(int)
    summed = counts.assign(power=powers)[n > 0].groupby("power")["many"].sum()
    return [(int(power), int(many)) for power, many in zip(summed.index, summed, strict=True)]


def long_tail(counts: pd.DataFrame, points: int = 60) -> list[tuple[float, float]]:
    """(share of items, most popular first; their share of interactions), from (0, 0) to (1, 1)."""
    ordered = counts[counts["n"] > 0].sort_values("n", ascending=False)
    items, rows = ordered["many"].cumsum().to_numpy(), (ordered["many"] * ordered["n"]).cumsum().to_numpy()
    if not len(items):
        return []
    at = np.linspace(0, items[-1], points)
    return [(float(x / items[-1]), float(y / rows[-1])) for x, y in zip(at, np.interp(at, [0, *items], [0, *rows]), strict=True)]


def counts_of_counts(ids: pd.Series) -> pd.DataFrame:
    """n, many: how many ids occur n times."""
    counts = ids.value_counts().value_counts()
    return pd.DataFrame({"n": counts.index.to_numpy(), "many": counts.to_numpy()})


def from_counts(rows_used: int, users: pd.DataFrame | None, items: pd.DataFrame | None, timeline: pd.DataFrame | None) -> dict[str, Any]:
    """The fields of an Audit that follow from counts, of pandas or Spark.

    Args:
        users, items: of `counts_of_counts`. timeline: of `timeline`. None where the source has no such column.
    """
    people, things = (None if table is None else int(table["many"].sum()) for table in (users, items))
    sums = None if timeline is None else timeline.groupby("bin")[["rows", "positives"]].sum()
    return {
        "users": people,
        "items": things,
        "density": rows_used / (people * things) if people and things else None,
        "activity": [] if users is None else log_bins(users),
        "popularity": [] if items is None else log_bins(items),
        "long_tail": [] if items is None else long_tail(items),
        "timeline": [] if timeline is None else [tuple(row) for row in timeline[["bin", "split", "rows"]].itertuples(index=False)],
        "label_over_time": [] if sums is None else [(int(b), int(n), float(liked / n)) for b, n, liked in sums.itertuples()],
    }


def bin_width(first: int, last: int) -> int:
    """Width of a bin of the timeline, in seconds."""
    return max(1, math.ceil((last - first + 1) / TIMELINE_BINS))


def split_facts(rows: pd.DataFrame, names: Iterable[str] = SPLITS) -> dict[str, SplitFacts]:
    """Of rows with `split` and `label`; users or items are None without the column."""
    train = rows[rows["split"] == TRAIN]
    facts_of = {}
    for name in names:
        part = rows[rows["split"] == name]
        facts: dict[str, int | None] = {}
        for side in ("user", "item"):
            if f"{side}_id" in rows:
                cold = ~part[f"{side}_id"].isin(train[f"{side}_id"])
                facts |= {f"{side}s": part[f"{side}_id"].nunique(), f"cold_{side}_rows": int(cold.sum())}
                facts[f"cold_{side}s"] = part.loc[cold, f"{side}_id"].nunique()
        if "user_id" in rows and "item_id" in rows and name != TRAIN:
            before = train if name == VALID else rows[rows["split"].isin(KNOWN_AT_TEST)]
            facts["users_to_rank"] = _users_to_rank(train, before, part)
        facts_of[name] = SplitFacts(rows=len(part), positives=int((part["label"] > 0).sum()), **facts)  # type: ignore[arg-type]
    return facts_of


def _users_to_rank(train: pd.DataFrame, before: pd.DataFrame, held_out: pd.DataFrame) -> int:
    """Users of train who like something of its items in a split, that they have in none of the splits before."""
    liked = held_out[(held_out["label"] > 0) & held_out["user_id"].isin(train["user_id"]) & held_out["item_id"].isin(train["item_id"])]
    pairs = (
        liked[["user_id", "item_id"]].drop_duplicates().merge(before[["user_id", "item_id"]].drop_duplicates(), how="left", indicator=True)
    )
    return int(pairs.loc[pairs["_merge"] == "left_only", "user_id"].nunique())


def timeline(rows: pd.DataFrame) -> pd.DataFrame:
    """bin (unix seconds of its start), split, rows, positives."""
    first, last = int(rows["timestamp"].min()), int(rows["timestamp"].max())
    width = bin_width(first, last)
    bins = first + (rows["timestamp"] - first) // width * width
    grouped = rows.assign(bin=bins).groupby(["bin", "split"])["label"].agg(["size", "sum"]).reset_index()
    return grouped.set_axis(["bin", "split", "rows", "positives"], axis=1)


def feature_facts(rows: pd.DataFrame, spec: DatasetSpec, tables: dict[str, pd.DataFrame]) -> list[FeatureFacts]:
    """Facts of every feature.

    Args:
        rows: used rows with `split` and `label`. tables: "user" and "item": the source's tables.
    """
    facts_of = []
    for feature in spec.source.features():
        table = _table_of(feature, rows, tables)
        find = _dense_facts if feature.kind == "dense" else _category_facts
        facts_of.append(find(feature, table, spec))
    return with_label_auc(facts_of, train_rows(rows[rows["split"] == TRAIN], spec.source.features(), tables))


def _table_of(feature: SourceFeature, rows: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """value, and train, valid, test: the interactions that have it. One row per interaction, or per user or item."""
    if feature.side == "context":
        own = rows[[feature.name, "split"]]
        return pd.DataFrame({"value": own[feature.name], **{name: (own["split"] == name).astype(int) for name in SPLITS}})
    key = f"{feature.side}_id"
    counts = rows.groupby([key, "split"]).size().unstack(fill_value=0).reindex(columns=list(SPLITS), fill_value=0)
    if feature.name in rows:
        order = ["_in", *(name for name in MOMENT if name in rows), feature.name]
        at_train = rows.assign(_in=rows["split"] == TRAIN).sort_values(order, kind="stable", na_position="first")
        values = at_train.groupby(key)[feature.name].last()
    else:
        values = tables[feature.side].drop_duplicates(key).set_index(key)[feature.name]
    return pd.DataFrame({"value": values}).join(counts, how="outer").fillna(dict.fromkeys(SPLITS, 0)).reset_index(drop=True)


def _category_facts(feature: SourceFeature, table: pd.DataFrame, spec: DatasetSpec) -> FeatureFacts:
    values = table["value"].astype(object)
    values = values.where(values.notna(), None)  # type: ignore[call-overload]  # pandas takes None
    long = table.assign(value=values.map(lambda v: None if v is None else str(v)))
    if feature.kind == "multi":
        long["value"] = long["value"].str.split("|").map(lambda bag: list(dict.fromkeys(bag)) if isinstance(bag, list) else bag)
        long = long.explode("value")
    long = long[long["value"].notna()]
    in_train = long.groupby("value")["train"].sum()
    in_train = in_train[in_train > 0]
    hashed = feature.name in spec.hashed
    known = in_train.index if hashed else in_train[in_train >= spec.min_count].index
    strange = ~long["value"].isin(known)
    unknown = {s: float(long.loc[strange, s].sum() / long[s].sum()) if long[s].sum() and not hashed else 0.0 for s in SPLITS}
    ordered = sorted(in_train.items(), key=lambda pair: (-pair[1], pair[0]))
    return FeatureFacts(
        name=feature.name, side=feature.side, kind=feature.kind, rows=len(table),
        missing=float(values.isna().mean()) if len(table) else 0.0, distinct=len(in_train),
        top=[(str(v), int(n)) for v, n in ordered[:TOP]], unknown=unknown,
        rare=None if hashed else int((in_train < spec.min_count).sum()),
        collisions=_collisions(in_train.index, spec.hash_rows) if hashed else None,
    )  # fmt: skip


def _collisions(values: Iterable[str], rows: int) -> float:
    """Share of the values that share their row of the hashed table with another one."""
    from xxhash import xxh64_intdigest

    taken = pd.Series([hash_row(xxh64_intdigest(value.encode(), SEED), rows) for value in values])
    return float(taken.duplicated(keep=False).mean()) if len(taken) else 0.0


def hash_row(digest: int, rows: int) -> int:
    """The row, from 1, of a hashed value in a table of `rows` and the unknown row 0; the digest is taken as a signed number."""
    return (digest - (1 << 64) if digest >= 1 << 63 else digest) % rows + 1


def _dense_facts(feature: SourceFeature, table: pd.DataFrame, spec: DatasetSpec) -> FeatureFacts:
    value = pd.to_numeric(table["value"], errors="coerce").astype(float)
    value, weight = value[value.notna()], table.loc[value.notna(), TRAIN].astype(float)
    missing = 1 - len(value) / len(table) if len(table) else 0.0
    common = {"name": feature.name, "side": feature.side, "kind": "dense", "rows": len(table), "missing": missing}
    if not len(value):
        return FeatureFacts(**common)
    total = weight.sum()
    mean = float((value * weight).sum() / total) if total else float(value.mean())
    std = float(math.sqrt(max(0.0, (value**2 * weight).sum() / total - mean**2))) if total else 0.0
    low, high = float(value.min()), float(value.max())
    width = (high - low) / DENSE_BINS or 1.0
    bins = pd.Series(np.minimum((value - low) // width, DENSE_BINS - 1)).value_counts().sort_index()
    histogram = [(low + k * width, int(n)) for k, n in zip(bins.index, bins, strict=True)]
    return FeatureFacts(**common, mean=mean, std=std, low=low, high=high, histogram=histogram)
