"""Histories of a streamed pass against the same bags worked out row by row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workers.prepare import history
from workers.prepare.history import HistoryBags


def interactions(repeats: bool, seed: int = 0, users: int = 40) -> pd.DataFrame:
    """Users with few or many rows, seconds shared, unknown items, all splits; sorted as the pass wants them."""
    rng = np.random.default_rng(seed)
    parts = []
    for user in range(users):
        n = int(rng.integers(1, 60)) if user else 400
        items = rng.integers(0, 25, n) if repeats else rng.permutation(500)[:n]
        parts.append(pd.DataFrame({"user_id": f"u{user:03d}", "item": items, "timestamp": rng.integers(0, max(2, n // 2), n)}))
    rows = pd.concat(parts, ignore_index=True).sort_values(["user_id", "timestamp", "item"], ignore_index=True)
    rows["label"] = (rng.random(len(rows)) < 0.6).astype(np.float32)
    rows["split"] = rng.choice(["train", "train", "train", "valid", "test"], len(rows))
    learned = rows.loc[rows["split"] == "train", "user_id"].unique()
    rows["user"] = np.where(rows["user_id"].isin(learned), 1 + rows["user_id"].str[1:].astype(int), 0)
    return rows.astype({"item": np.int32, "user": np.int32})


def naive(rows: pd.DataFrame, order: str, most: int) -> list[list[int]]:
    found = []
    for row in rows.itertuples():
        known = ["train", "valid"] if row.split == "test" and row.user > 0 else ["train"]
        likes = rows[(rows["user_id"] == row.user_id) & rows["split"].isin(known) & (rows["label"] > 0) & (rows["item"] > 0)]
        if order == "before":
            likes = likes[likes["timestamp"] < row.timestamp]
        bag = likes["item"].drop_duplicates(keep="last").tolist()
        found.append([item for item in bag if row.split != "train" or item != row.item][-most:])
    return found


def streamed(rows: pd.DataFrame, order: str, most: int, batch: int) -> pd.DataFrame:
    batches = pa.Table.from_pandas(rows, preserve_index=False).to_batches(max_chunksize=batch)
    return pa.Table.from_batches(HistoryBags(order, most)(iter(batches))).to_pandas()  # type: ignore[arg-type]


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("order", ["others", "before"])
@pytest.mark.parametrize("most, batch", [(1, 7), (5, 100), (200, 10_000)])
def test_bags_are_those_worked_out_row_by_row(order: str, repeats: bool, most: int, batch: int) -> None:
    rows = interactions(repeats)
    found = streamed(rows, order, most, batch)
    pd.testing.assert_frame_equal(found[list(rows)], rows)
    assert [list(bag) for bag in found["history"]] == naive(rows, order, most)


@pytest.mark.parametrize("stretch", [1, 3, 16])
def test_where_bags_are_written_down_on_the_way_makes_no_difference(stretch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "STRETCH", stretch)
    rows = interactions(repeats=True, seed=stretch, users=8)
    for most in (1, 6):
        assert [list(bag) for bag in streamed(rows, "before", most, 50)["history"]] == naive(rows, "before", most)


def test_nothing_of_the_rows_own_moment_or_later_is_in_a_bag_of_before() -> None:
    rows = interactions(repeats=False, seed=3)
    when = rows[rows["split"] != "test"].set_index(["user_id", "item"])["timestamp"]
    for row in streamed(rows, "before", 50, 64).itertuples():
        assert all(when[row.user_id, item] < row.timestamp for item in row.history)


def test_no_row_and_no_like_are_no_trouble() -> None:
    rows = interactions(repeats=False).head(5).assign(label=np.float32(0))
    assert [len(bag) for bag in streamed(rows, "others", 3, 2)["history"]] == [0] * 5
    assert list(HistoryBags("others", 3)(iter([]))) == []


def test_a_user_with_many_rows_costs_no_square() -> None:
    """A hundred thousand rows of one user: quadratic work would need 10^10 steps, and minutes."""
    n = 100_000
    items = np.arange(1, n + 1, dtype=np.int32)
    rows = pd.DataFrame({"user_id": "u", "item": items, "timestamp": np.arange(n), "label": np.float32(1), "split": "train", "user": 1})
    for order in ("others", "before"):
        found = streamed(rows, order, 20, 10_000)["history"]
        assert list(found.iloc[-1]) == list(range(n - 20, n))
        assert len(found) == n
    # the first item once and then two others for ever: its place must be kept over all that follows
    again = rows.assign(item=np.where(np.arange(n) == 0, 9, 1 + np.arange(n) % 2).astype(np.int32))
    assert list(streamed(again, "before", 20, 10_000)["history"].iloc[-1]) == [9, 1]


@pytest.mark.parametrize("order", ["others", "before"])
@pytest.mark.parametrize("repeats", [False, True])
def test_half_a_second_earlier_is_earlier(order: str, repeats: bool) -> None:
    """Times told in halves of a second give the bags of the same times told in whole units."""
    rows = interactions(repeats, seed=2)
    halves = rows.assign(timestamp=rows["timestamp"] // 2, subsecond=np.where(rows["timestamp"] % 2, 0.5, np.nan))
    bags, of_halves = (streamed(one, order, 5, 100)["history"] for one in (rows, halves))
    assert [list(bag) for bag in of_halves] == [list(bag) for bag in bags]
