"""A preview of a source under a dataset spec: the audit of its first rows, with pandas, before anything is prepared."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from engine.datasets import Audit, DatasetSpec, JoinFacts, SplitFacts, WeightFacts
from engine.preview.audit import MOST_VALUES, counts_of_counts, feature_facts, from_counts, rating_counts, split_facts, timeline
from engine.preview.findings import list_findings
from engine.preview.labels import Rule, label_rows
from engine.preview.order import order_facts
from engine.preview.rows import CORE, Pairs, in_core, refuse_crossing_copies, set_aside_pairs, split_rows
from engine.preview.split_choice import compare_splits, one_user_in
from engine.sources import FRAME_LIMIT, SourceSpec
from workers.artifacts import TEST, TRAIN
from workers.prepare import read_frame
from workers.prepare.tables import MISSING_WORDS

HEAD_ROWS, ASIDE_ROWS = 100, 10_000
MOST_CELLS = 12_000_000  # of the rows that a preview holds in memory


@dataclass(frozen=True)
class Preview:
    """`head`: the first used rows with titles. `set_aside`: row (from 1), reason, raw, at most 10,000.

    `splits`: test under each split that the source allows, by kind; other splits than the spec's own are estimated from one user in
    `splits_of`, where there are many rows.
    """

    audit: Audit
    head: pd.DataFrame
    set_aside: pd.DataFrame
    splits: dict[str, SplitFacts]
    splits_of: int = 1


def preview_limit(source: SourceSpec) -> int:
    """Rows that a preview reads at most: fewer for wide tables."""
    return min(FRAME_LIMIT, MOST_CELLS // (4 + len(source.features())))


def preview_rows(source: SourceSpec) -> pd.DataFrame:
    """The first rows of a source, as `workers.prepare.rows.read` reads them. Raises what the source raises when it cannot be read."""
    source.check()
    raw = source.frame(preview_limit(source))
    if raw.empty:
        raise ValueError(f"{source.label}: it has no interactions; choose another source.")
    return read_frame(raw, source.reading(), source.features())


def preview(spec: DatasetSpec, rows: pd.DataFrame | None = None) -> Preview:
    """Audit the source's first rows as preparing would audit all of them.

    Args:
        rows: of `preview_rows`, if they were read before; not changed.
    """
    rows = (preview_rows(spec.source) if rows is None else rows).copy()
    rows, pairs = set_aside_pairs(rows, spec)
    sound = rows[rows["reason"].isna()].drop(columns=["reason", "raw"])
    _refuse_none(sound, rows)
    sound["split"] = split_rows(sound, spec)
    refuse_crossing_copies(sound, spec, pairs)
    kept = in_core(sound, spec)
    rows.loc[sound.index[~kept], "reason"] = CORE
    used = sound[kept].reset_index(drop=True)
    _refuse_none(used, rows)
    used["label"], rule = label_rows(used, spec)
    items = spec.source.items_frame(FRAME_LIMIT)
    audit = _audit(spec, rows, used, items, pairs, rule)
    splits = compare_splits(sound, spec)
    if splits:
        splits[spec.split.kind] = audit.splits[TEST]
    return Preview(audit, _head(used, items), _set_aside(rows), splits, one_user_in(sound))


def _refuse_none(used: pd.DataFrame, rows: pd.DataFrame) -> None:
    if used.empty:
        said = ", ".join(f"{n:,} have {reason}" for reason, n in _reasons(rows).items())
        raise ValueError(f"No row is left to use: {said}. Correct the mapping, or lower the minimums.")


def _audit(spec: DatasetSpec, rows: pd.DataFrame, used: pd.DataFrame, items: pd.DataFrame, pairs: Pairs, rule: Rule) -> Audit:
    """The audit of `used`, which are those of `rows` without a reason."""
    users = spec.source.users_frame(FRAME_LIMIT)
    reading = spec.source.reading()
    ratings, width = rating_counts(used["rating"]) if "rating" in used else ([], None)
    users_counts = counts_of_counts(used["user_id"]) if reading.user else None
    items_counts = counts_of_counts(used["item_id"]) if reading.item else None
    audit = Audit(
        rows_read=len(rows),
        rows_used=len(used),
        set_aside=_reasons(rows),
        truncated=len(rows) >= preview_limit(spec.source),
        output=rule.output,
        classes=rule.classes,
        threshold=rule.threshold,
        rating_bin=width,
        ratings=ratings,
        categories=_categories(used),
        weights=_weights(used),
        joins=[join for key, table in (("user_id", users), ("item_id", items)) if (join := _join(used, key, table))],
        exact_copies=pairs.copies,
        repeated_pairs=pairs.repeated,
        conflicting_pairs=pairs.conflicting,
        items_without_title=_untitled(used, items),
        splits=split_facts(used),
        first=int(used["timestamp"].min()) if reading.time else None,
        last=int(used["timestamp"].max()) if reading.time else None,
        time=reading.time,
        order=order_facts(used[(used["split"] == TRAIN) & (used["label"] > 0)]) if reading.time else None,
        features=feature_facts(used, spec, {"user": users, "item": items}),
        **from_counts(len(used), users_counts, items_counts, timeline(used) if reading.time else None),
    )
    return audit.model_copy(update={"findings": list_findings(audit, spec, _odd_ids(used))})


def _reasons(rows: pd.DataFrame) -> dict[str, int]:
    return {str(reason): int(n) for reason, n in rows["reason"].value_counts().items()}


def _set_aside(rows: pd.DataFrame) -> pd.DataFrame:
    """row, reason, and the row as text: usable rows as they were read."""
    aside = rows[rows["reason"].notna()].head(ASIDE_ROWS)
    read = aside["raw"].isna()
    readable = aside.loc[read].drop(columns=["row", "reason", "raw", "oracle"], errors="ignore")
    lines = [row.dropna().to_json(force_ascii=False) for _, row in readable.iterrows()]
    aside.loc[read, "raw"] = pd.Series(lines, index=readable.index, dtype=object)
    return aside[["row", "reason", "raw"]].reset_index(drop=True)


def _categories(used: pd.DataFrame) -> list[tuple[str, int]]:
    if "category" in used:
        counts = used["category"].str.split("|").explode().value_counts()
        return [(str(k), int(n)) for k, n in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))[:MOST_VALUES]]
    names = [name for name in used.columns if name.startswith("action.")]
    return [(name.removeprefix("action."), int(used[name].sum())) for name in names]


def _weights(used: pd.DataFrame) -> WeightFacts | None:
    if "weight" not in used:
        return None
    return WeightFacts(median=float(used["weight"].quantile(0.5, "lower")), highest=float(used["weight"].max()))


def _join(used: pd.DataFrame, key: str, table: pd.DataFrame) -> JoinFacts | None:
    """Whom a table of users (or items) knows; None where there is no such table, or only a part of it is read."""
    if key not in used or table.empty or len(table) >= FRAME_LIMIT:
        return None
    ids, known = set(used[key]), set(table[key])
    unknown, others = min(ids - known, default=None), min(known - ids, default=None)
    side: Literal["user", "item"] = "user" if key == "user_id" else "item"
    return JoinFacts(side=side, ids=len(ids), known=len(ids & known), unknown=unknown, known_as=others)


def _untitled(used: pd.DataFrame, items: pd.DataFrame) -> int:
    if "item_id" not in used:
        return 0
    titled = items.loc[items["title"].notna() & items["title"].astype(str).str.strip().ne(""), "item_id"]
    if "title" in used:
        titled = pd.concat([titled, used.loc[used["title"].notna(), "item_id"]])
    return len(set(used["item_id"]) - set(titled))


def _odd_ids(used: pd.DataFrame) -> dict[str, int]:
    """Kinds of ids that other tools change when they read them -> how many different ids, or rows with such ids."""
    counts = {}
    for key in ("user_id", "item_id"):
        if key in used:
            ids = pd.Series(used[key].unique(), dtype=object)
            side = key.removesuffix("_id")
            counts[f"{side} ids begin with zeros"] = int(ids.str.fullmatch(r"0\d+").sum())
            counts[f"{side} ids have 16 digits or more"] = int(ids.str.fullmatch(r"\d{16,}").sum())
            counts[f"{side} ids have spaces around them"] = int(ids.ne(ids.str.strip()).sum())
            odd = ids[ids.str.strip(" ").str.lower().isin(MISSING_WORDS)]
            counts[f"rows have a {side} id that reads like a missing value"] = int(used[key].isin(odd).sum())
    return {what: n for what, n in counts.items() if n}


def _head(used: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    head = used.head(HEAD_ROWS)
    if "item_id" in head and len(items):
        shown = [name for name in ("title", "genres") if name in items and name not in head]
        head = head.merge(items[["item_id", *shown]].drop_duplicates("item_id"), on="item_id", how="left")
    return head.drop(columns=[name for name in ("row", "oracle", "weight", "subsecond") if name in head])
