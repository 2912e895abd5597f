"""A first look at a source under a dataset spec: the audit of its first rows, before anything is prepared. Without Spark."""

from dataclasses import dataclass

import pandas as pd

from engine.datasets import Audit, DatasetSpec
from engine.preview import audit as facts
from engine.preview.findings import list_findings
from engine.preview.rows import label_rows, refuse_crossing_copies, set_aside_pairs, set_aside_small, split_rows
from engine.sources import FRAME_LIMIT, SourceSpec
from workers.prepare import read_frame

HEAD_ROWS, ASIDE_ROWS = 100, 10_000
MOST_CELLS = 12_000_000  # of the rows that a preview holds in memory


@dataclass(frozen=True)
class Preview:
    """`head`: the first used rows with titles. `set_aside`: row (from 1), reason, raw, at most 10,000."""

    audit: Audit
    head: pd.DataFrame
    set_aside: pd.DataFrame


def preview_limit(source: SourceSpec) -> int:
    """Rows that a preview reads at most: fewer of wide tables."""
    return min(FRAME_LIMIT, MOST_CELLS // (4 + len(source.features())))


def preview_rows(source: SourceSpec) -> pd.DataFrame:
    """The source's first rows, read: see `workers.prepare.rows.read`. Raises what the source raises when it cannot be read."""
    source.check()
    raw = source.frame(preview_limit(source))
    if raw.empty:
        raise ValueError(f"{source.label}: there is not a single interaction to read; choose another source.")
    return read_frame(raw, source.reading(), source.features())


def preview(spec: DatasetSpec, rows: pd.DataFrame | None = None) -> Preview:
    """Audit the source's first rows as preparing would audit all of them.

    Args:
        rows: of `preview_rows`, to spare reading them again; left as they are.
    """
    rows = (preview_rows(spec.source) if rows is None else rows).copy()
    total = len(rows)
    rows, pairs = set_aside_pairs(rows, spec)
    rows = set_aside_small(rows, spec)
    used = rows[rows["reason"].isna()].drop(columns=["reason", "raw"]).reset_index(drop=True)
    reasons = {str(k): int(n) for k, n in rows["reason"].value_counts().items()}
    if used.empty:
        raise ValueError(f"No row is left to use: {', '.join(f'{n:,} have {reason}' for reason, n in reasons.items())}. Mend the mapping.")
    used["split"] = split_rows(used, spec)
    refuse_crossing_copies(used, spec, pairs)
    used["label"], rule = label_rows(used, spec)
    items, users = spec.source.items_frame(FRAME_LIMIT), spec.source.users_frame(FRAME_LIMIT)
    reading = spec.source.reading()
    ratings, width = facts.rating_counts(used["rating"]) if "rating" in used else ([], None)
    users_met = facts.counts_of_counts(used["user_id"]) if reading.user else None
    items_met = facts.counts_of_counts(used["item_id"]) if reading.item else None
    audit = Audit(
        rows_read=total,
        rows_used=len(used),
        set_aside=reasons,
        truncated=total >= preview_limit(spec.source),
        output=rule.output,
        classes=rule.classes,
        threshold=rule.threshold,
        rating_bin=width,
        ratings=ratings,
        categories=_categories(used),
        exact_copies=pairs.copies,
        repeated_pairs=pairs.repeated,
        conflicting_pairs=pairs.conflicting,
        items_without_title=_untitled(used, items),
        splits=facts.split_facts(used),
        first=int(used["timestamp"].min()) if reading.time else None,
        last=int(used["timestamp"].max()) if reading.time else None,
        time=reading.time,
        features=facts.feature_facts(used, spec, {"user": users, "item": items}),
        **facts.from_counts(len(used), users_met, items_met, facts.timeline(used) if reading.time else None),
    )
    audit = audit.model_copy(update={"findings": list_findings(audit, spec, _odd_ids(used))})
    return Preview(audit, _head(used, items), _set_aside(rows))


def _set_aside(rows: pd.DataFrame) -> pd.DataFrame:
    """row, reason and the row as text; of rows that were read well, as they were read."""
    aside = rows[rows["reason"].notna()].head(ASIDE_ROWS)
    read = aside["raw"].isna()
    told = aside.loc[read].drop(columns=["row", "reason", "raw", "oracle"], errors="ignore")
    lines = [row.dropna().to_json(force_ascii=False) for _, row in told.iterrows()]
    aside.loc[read, "raw"] = pd.Series(lines, index=told.index, dtype=object)
    return aside[["row", "reason", "raw"]].reset_index(drop=True)


def _categories(used: pd.DataFrame) -> list[tuple[str, int]]:
    if "category" in used:
        counts = used["category"].str.split("|").explode().value_counts()
        return [(str(k), int(n)) for k, n in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))[: facts.MOST_VALUES]]
    names = [name for name in used.columns if name.startswith("action.")]
    return [(name.removeprefix("action."), int(used[name].sum())) for name in names]


def _untitled(used: pd.DataFrame, items: pd.DataFrame) -> int:
    if "item_id" not in used:
        return 0
    titled = items.loc[items["title"].notna() & items["title"].astype(str).str.strip().ne(""), "item_id"]
    if "title" in used:
        titled = pd.concat([titled, used.loc[used["title"].notna(), "item_id"]])
    return len(set(used["item_id"]) - set(titled))


def _odd_ids(used: pd.DataFrame) -> dict[str, int]:
    """Kinds of ids that other tools spoil -> how many different ids are of that kind."""
    found = {}
    for key in ("user_id", "item_id"):
        if key in used:
            ids = pd.Series(used[key].unique(), dtype=object)
            side = key.removesuffix("_id")
            found[f"{side} ids begin with zeros"] = int(ids.str.fullmatch(r"0\d+").sum())
            found[f"{side} ids have 16 digits or more"] = int(ids.str.fullmatch(r"\d{16,}").sum())
            found[f"{side} ids read like a missing value"] = int(ids.str.lower().isin(["na", "nan", "null", "none", "n/a"]).sum())
            found[f"{side} ids have spaces around them"] = int(ids.ne(ids.str.strip()).sum())
    return {what: n for what, n in found.items() if n}


def _head(used: pd.DataFrame, items: pd.DataFrame) -> pd.DataFrame:
    head = used.head(HEAD_ROWS)
    if "item_id" in head and len(items):
        shown = [name for name in ("title", "genres") if name in items and name not in head]
        head = head.merge(items[["item_id", *shown]].drop_duplicates("item_id"), on="item_id", how="left")
    return head.drop(columns=[name for name in ("row", "oracle", "weight") if name in head])
