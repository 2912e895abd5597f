"""Duplicates, split, minimums and label rule of a preview, with pandas. `engine.prepare.rows` does the same with Spark."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from engine.datasets import (
    OF_EACH_USER,
    ActionsLabel,
    ColumnSplit,
    DatasetSpec,
    LastSplit,
    PerUserSplit,
    RandomSplit,
    TimeSplit,
)  # fmt: skip
from engine.preview.labels import label_rows
from engine.preview.row_hash import row_hash
from workers.artifacts import TEST, TRAIN, VALID
from workers.prepare import MOMENT

LATER = "later than what is used"
COPY = "an exact copy of another row"
PAIRS = {
    "latest": "an older row of the same user and item",
    "first": "a later row of the same user and item",
    "mean": "averaged into a row of the same user and item",
    "actions": "merged into a row of the same user and item",
}
CORE = "fewer train interactions than the minimum"
NOT_CONTENT = {"row", "reason", "raw", "split"}


class Pairs(NamedTuple):
    """Numbers of rows that are copies, of user-item pairs with more than one row, and of those pairs whose labels differ."""

    copies: int = 0
    repeated: int = 0
    conflicting: int = 0


def leak(copies: int, split: str) -> ValueError:
    """The error for copies of a row in more than one part of a split."""
    return ValueError(
        f"{copies:,} rows have a copy in another part of the split, so that a model would be tested on rows that it was trained on. "
        f"{'Correct the split column' if split == 'column' else 'Set duplicates to exact'}, or choose another split."
    )


def set_aside_later(rows: pd.DataFrame, spec: DatasetSpec) -> pd.DataFrame:
    """Set the `reason` of rows that are later than the share of the rows, by time, which is used; all rows of one time are on one side."""
    sound = rows.index[rows["reason"].isna()]
    if not isinstance(spec.split, TimeSplit) or spec.split.until == 1 or not len(sound):
        return rows
    times = rows.loc[sound, "timestamp"].to_numpy()
    from_time = np.sort(times)[quantile_place(spec.split.until, len(times))]
    rows.loc[sound[times >= from_time], "reason"] = LATER
    return rows


def set_aside_pairs(rows: pd.DataFrame, spec: DatasetSpec) -> tuple[pd.DataFrame, Pairs]:
    """Set the `reason` of rows that the policy on duplicates leaves out; with `mean`, the row that stays gets the mean rating."""
    reading = spec.source.reading()
    rows = set_aside_later(rows, spec)  # first of all: what is later decides nothing
    sound = rows.index[rows["reason"].isna()]
    content = [name for name in rows.columns if name not in NOT_CONTENT]
    own = rows.loc[sound]
    copy = own.duplicated(content)
    pairs = _pairs(own, reading.user and reading.item, reading.value, copy)
    if isinstance(spec.split, ColumnSplit) and (sides := own[own.duplicated(content, keep=False)].groupby(content, dropna=False)["split"]):
        crossing = sides.transform("nunique") > 1
        if crossing.any():
            raise leak(int(crossing.sum()), "column")
    if spec.duplicates != "keep":
        rows.loc[sound[copy], "reason"] = COPY
    policy = "actions" if merges_actions(spec) else spec.duplicates
    if policy in PAIRS:
        key, own = ["user_id", "item_id"], rows[rows["reason"].isna()]
        own = own[own.duplicated(key, keep=False)]
        own = own.assign(_tie=row_hash(own, content)).sort_values([*_moment(own), "_tie", "row"], na_position="first")
        if policy == "mean":
            rows.loc[own.index, "rating"] = own.groupby(key)["rating"].transform("mean")
        if policy == "actions":
            rows.loc[own.index, "category"] = own.groupby(key)["category"].transform(lambda kinds: "|".join(sorted(set(kinds))))
        rows.loc[own.index[own.duplicated(key, keep="first" if policy == "first" else "last")], "reason"] = PAIRS[policy]
    return rows, pairs


def _moment(rows: pd.DataFrame) -> list[str]:
    return [name for name in MOMENT if name in rows]


def merges_actions(spec: DatasetSpec) -> bool:
    """Whether rows are events of several kinds, so that one row per user and item says which happened."""
    reading = spec.source.reading()
    return isinstance(spec.label, ActionsLabel) and reading.value == "category" and reading.user and reading.item


def _pairs(rows: pd.DataFrame, has_pairs: bool, value: str, copy: pd.Series) -> Pairs:
    if not has_pairs:
        return Pairs(int(copy.sum()))
    groups = rows[rows.duplicated(["user_id", "item_id"], keep=False)].groupby(["user_id", "item_id"])
    label = {"number": "rating", "category": "category"}.get(value)
    conflicting = int((groups[label].nunique() > 1).sum()) if label else 0
    return Pairs(int(copy.sum()), groups.ngroups, conflicting)


def in_core(rows: pd.DataFrame, spec: DatasetSpec) -> "np.ndarray":
    """Whether the user and the item of each row have the minimum of train rows (k-core): bool.

    Train rows of users and items with too few of them are left out until all that are left have enough. Rows of valid and test count
    for nothing, so that what is held out does not decide what is kept; they stay where their user and item do.

    Args:
        rows: with `split`.
    """
    least = [("user_id", spec.min_user_interactions), ("item_id", spec.min_item_interactions)]
    least = [(key, most) for key, most in least if most > 1]
    own, before = rows.loc[rows["split"] == TRAIN, [key for key, _ in least]], -1
    while least and len(own) != before:
        before = len(own)
        for key, most in least:
            own = own[own.groupby(key)[key].transform("size") >= most]
    kept = np.ones(len(rows), bool)
    for key, _ in least:
        kept &= rows[key].isin(own[key].unique()).to_numpy()
    return kept


def split_rows(rows: pd.DataFrame, spec: DatasetSpec) -> "np.ndarray | pd.Series[str]":
    """The split of each row: "train", "valid" or "test"."""
    if isinstance(spec.split, TimeSplit):
        return by_time(rows, spec.split)
    parts = spec.source.reading().parts
    if isinstance(spec.split, PerUserSplit):
        return per_user(rows, spec.split, parts)
    if isinstance(spec.split, LastSplit):
        return last_like(rows, label_rows(rows.assign(split=TRAIN), spec)[0], parts)
    if isinstance(spec.split, RandomSplit):
        return at_random(rows, spec.split, spec.seed, parts)
    return rows["split"]


def refuse_crossing_copies(rows: pd.DataFrame, spec: DatasetSpec, pairs: Pairs) -> None:
    """ValueError when copies of a row are in more than one part of a split per user."""
    if spec.duplicates == "keep" and spec.split.kind in OF_EACH_USER and pairs.copies:
        content = [name for name in rows.columns if name not in NOT_CONTENT]
        crossing = rows.groupby(content, dropna=False)["split"].transform("nunique") > 1
        if crossing.any():
            raise leak(int(crossing.sum()), "per_user")


def quantile_place(share: float, rows: int) -> int:
    """Position of the quantile `share` among `rows` sorted values, the higher of two neighbours (0-based)."""
    return min(math.ceil(share * (rows - 1) - 1e-9), rows - 1)  # 0.7 * 10 is 7.000000000000001 in floating point


def by_time(rows: pd.DataFrame, split: TimeSplit) -> np.ndarray:
    """All rows of one time are on one side, the later one, so that their order does not matter."""
    times = rows["timestamp"].to_numpy()
    ordered = np.sort(times)
    test_from = ordered[quantile_place(1 - split.test, len(ordered))]
    valid_from = ordered[quantile_place(1 - (split.valid + split.test), len(ordered))]
    return np.where(times >= test_from, TEST, np.where(times >= valid_from, VALID, TRAIN))


def per_user(rows: pd.DataFrame, split: PerUserSplit, parts: bool = False) -> np.ndarray:
    """Each user's last rows are held out, in order of time; of equal times in order of item, rating and a hash of the row.

    Args:
        parts: rows of one time are parts of one rating, which stay together (`Reading.parts`).
    """
    ordered = _in_time(rows)
    by_user = ordered.groupby("user_id", sort=False)["user_id"]
    n, place = by_user.transform("size").to_numpy(), by_user.cumcount().to_numpy()
    from_end = n - 1 - place
    if parts:
        from_end = pd.Series(from_end, index=ordered.index).groupby([ordered["user_id"], ordered["timestamp"]]).transform("min").to_numpy()
    held_test = np.maximum(1, (n * split.test).astype(int))
    held_valid = np.maximum(1, (n * split.valid).astype(int))
    names = np.where(from_end < held_test, TEST, np.where(from_end < held_test + held_valid, VALID, TRAIN))
    return pd.Series(np.where(n < 3, TRAIN, names), index=ordered.index).reindex(rows.index).to_numpy()


def last_like(rows: pd.DataFrame, label: pd.Series, parts: bool = False) -> np.ndarray:
    """From each user's last like on it is test, from the like before that on it is valid; rows in the order of `per_user`.

    Args:
        label: of the rows, 1 where liked. parts: as in `per_user`.
    """
    ordered = _in_time(rows)
    liked = label.reindex(ordered.index).gt(0).astype(int)
    users = ordered["user_id"]
    left = liked[::-1].groupby(users[::-1], sort=False).cumsum()[::-1]  # likes of the user from this row on
    if parts:
        left = left.groupby([users, ordered["timestamp"]]).transform("min")
    likes = liked.groupby(users, sort=False).transform("sum")
    names = np.where(left <= 1, TEST, np.where(left == 2, VALID, TRAIN))
    return pd.Series(np.where(likes < 3, TRAIN, names), index=ordered.index).reindex(rows.index).to_numpy()


def _in_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by user and time; of equal times in order of item, rating and a hash of the row."""
    order = [name for name in ("user_id", *MOMENT, "item_id", "rating") if name in rows]
    tie, tied = np.zeros(len(rows), np.int64), rows.duplicated(order, keep=False).to_numpy()
    tie[tied] = row_hash(rows[tied], [name for name in rows.columns if name not in NOT_CONTENT])
    return rows.assign(_tie=tie).sort_values([*order, "_tie", "row"], na_position="first")  # the row tells copies apart, which are alike


def at_random(rows: pd.DataFrame, split: RandomSplit, seed: int, parts: bool = False) -> np.ndarray:
    """Split by a hash of the content, so that copies stay together. Preparing uses another hash: only the shares are the same.

    Args:
        parts: rows of one user and time are parts of one rating, which stay together (`Reading.parts`).
    """
    content = rows[["user_id", "timestamp"] if parts else [name for name in rows.columns if name not in NOT_CONTENT]]
    chance = (pd.util.hash_pandas_object(content, index=False).to_numpy() ^ np.uint64(seed)) % 10_007 / 10_007
    return np.where(chance < split.test, TEST, np.where(chance < split.test + split.valid, VALID, TRAIN))
