"""What a source holds and what a label rule and a split would make of it, before anything is prepared. Without Spark."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.sources import FRAME_LIMIT, SourceSpec
from engine.specs import MeanLabel, PerUserSplit, ThresholdLabel, TimeSplit
from workers.results import TEST, TRAIN, VALID

HEAD_ROWS, TIMELINE_BINS = 100, 60


@dataclass(frozen=True)
class Preview:
    """A first look at a source.

    `head`: the first rows with titles and genres. `ratings`: value, count. `first`, `last`: unix seconds.
    `density`: rows / (users x items). `truncated`: the source is longer and only its first rows were read.
    """

    rows: int
    users: int
    items: int
    head: pd.DataFrame
    ratings: pd.DataFrame
    first: int
    last: int
    density: float
    truncated: bool


@dataclass(frozen=True)
class SplitPreview:
    """What a label rule and a split leave; the dicts are keyed by split.

    `positive_share` is nan for a split without rows. `users_to_rank`: users known to train who liked an item of train there
    that they had not met. `timeline`: bin (datetime), split, count.
    """

    rows: dict[str, int]
    positive_share: dict[str, float]
    threshold: float
    users_to_rank: dict[str, int]
    cold_users_test: int
    cold_items_test: int
    timeline: pd.DataFrame


def preview(source: SourceSpec) -> Preview:
    """Read the source's first FRAME_LIMIT rows; raises what the source raises when it cannot be read."""
    rows = _frame(source)
    items = source.items_frame(FRAME_LIMIT)
    head = rows.head(HEAD_ROWS).merge(items[["item_id", "title", "genres"]], on="item_id", how="left")
    head["time"] = pd.to_datetime(head.pop("timestamp"), unit="s")
    ratings = rows["rating"].value_counts().sort_index()
    users, met = rows["user_id"].nunique(), rows["item_id"].nunique()
    return Preview(
        rows=len(rows),
        users=users,
        items=met,
        head=head[["user_id", "item_id", "title", "genres", "rating", "time"]],
        ratings=pd.DataFrame({"value": ratings.index.to_numpy(), "count": ratings.to_numpy()}),
        first=int(rows["timestamp"].min()),
        last=int(rows["timestamp"].max()),
        density=len(rows) / (users * met),
        truncated=len(rows) >= FRAME_LIMIT,
    )


def preview_split(source: SourceSpec, label: MeanLabel | ThresholdLabel, split: TimeSplit | PerUserSplit) -> SplitPreview:
    """Split and label the source's first FRAME_LIMIT rows as preparing would; a split may come out empty."""
    rows = _frame(source)
    rows["split"] = _by_time(rows, split) if isinstance(split, TimeSplit) else _per_user(rows, split)
    train = rows["split"] == TRAIN
    threshold = label.threshold if isinstance(label, ThresholdLabel) else float(rows.loc[train, "rating"].mean())
    rows["liked"] = rows["rating"] >= threshold
    test = rows[rows["split"] == TEST]
    parts = {name: rows[rows["split"] == name] for name in (TRAIN, VALID, TEST)}
    return SplitPreview(
        rows={name: len(part) for name, part in parts.items()},
        positive_share={name: float(part["liked"].mean()) for name, part in parts.items()},
        threshold=threshold,
        users_to_rank={name: _users_to_rank(parts[TRAIN], parts[name]) for name in (VALID, TEST)},
        cold_users_test=len(set(test["user_id"]) - set(parts[TRAIN]["user_id"])),
        cold_items_test=len(set(test["item_id"]) - set(parts[TRAIN]["item_id"])),
        timeline=_timeline(rows),
    )


def _frame(source: SourceSpec) -> pd.DataFrame:
    rows = source.frame(FRAME_LIMIT)
    if rows.empty:
        raise ValueError(f"{source.label}: there is not a single rating to read; choose another source.")
    return rows


def quantile_place(share: float, rows: int) -> int:
    """Position of the quantile `share` among `rows` sorted values, the higher of two neighbours (0-based)."""
    return min(math.ceil(share * (rows - 1) - 1e-9), rows - 1)  # 0.7 * 10 is 7.000000000000001 to a computer


def _by_time(rows: pd.DataFrame, split: TimeSplit) -> np.ndarray:
    times = rows["timestamp"].to_numpy()
    ordered = np.sort(times)
    test_from = ordered[quantile_place(1 - split.test, len(ordered))]
    valid_from = ordered[quantile_place(1 - (split.valid + split.test), len(ordered))]
    return np.where(times >= test_from, TEST, np.where(times >= valid_from, VALID, TRAIN))


def _per_user(rows: pd.DataFrame, split: PerUserSplit) -> np.ndarray:
    ordered = rows.sort_values(["user_id", "timestamp", "item_id", "rating"])
    by_user = ordered.groupby("user_id", sort=False)["item_id"]
    n, place = by_user.transform("size").to_numpy(), by_user.cumcount().to_numpy()
    from_end = n - 1 - place
    held_test = np.maximum(1, (n * split.test).astype(int))
    held_valid = np.maximum(1, (n * split.valid).astype(int))
    names = np.where(from_end < held_test, TEST, np.where(from_end < held_test + held_valid, VALID, TRAIN))
    return pd.Series(np.where(n < 3, TRAIN, names), index=ordered.index).reindex(rows.index).to_numpy()


def _users_to_rank(train: pd.DataFrame, held_out: pd.DataFrame) -> int:
    liked = held_out[held_out["liked"] & held_out["user_id"].isin(train["user_id"]) & held_out["item_id"].isin(train["item_id"])]
    pairs = liked[["user_id", "item_id"]].drop_duplicates().merge(train[["user_id", "item_id"]], how="left", indicator=True)
    return int(pairs.loc[pairs["_merge"] == "left_only", "user_id"].nunique())


def _timeline(rows: pd.DataFrame) -> pd.DataFrame:
    first, last = int(rows["timestamp"].min()), int(rows["timestamp"].max())
    width = max(1, math.ceil((last - first + 1) / TIMELINE_BINS))
    bins = pd.to_datetime(first + (rows["timestamp"] - first) // width * width, unit="s")
    return rows.assign(bin=bins).groupby(["bin", "split"], as_index=False).size().rename(columns={"size": "count"})
