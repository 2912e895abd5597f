"""Laws of the splits, over random rows: ties in time, users with one row, shares of any size."""

import itertools
import math
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.rules import PerUserSplit, RandomSplit, TimeSplit
from engine.datasets.spec import DatasetSpec
from engine.preview.first_rows import preview, preview_rows
from engine.preview.row_hash import row_hash
from engine.preview.rows import CORE, at_random, by_time, in_core, last_like, per_user
from engine.sources.sample import SampleSource
from tests.given import given as given_rows

SIDES = {"train", "valid", "test"}
laws = settings(derandomize=True, max_examples=80, deadline=None)
shares = st.floats(0.01, 0.44)
times = st.integers(-3, 12) | st.integers(-(2**40), 2**40)  # a few seconds, so that many rows share one, or any


@st.composite
def interactions(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz"), st.integers(1, 5), times), min_size=1, max_size=80)
    )
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])
    return frame.assign(row=range(len(frame))).set_index(frame.index * 3 + 5)  # an index that is no position


def sides(split: np.ndarray, rows: pd.DataFrame) -> pd.Series:
    """The side of each row by the rows' own index; every row is on exactly one."""
    assert len(split) == len(rows)
    assert set(split) <= SIDES
    return pd.Series(split, index=rows.index)


@pytest.mark.fault("F52")
@laws
@given(rows=interactions(), valid=shares, test=shares)
def test_a_split_by_time_has_nothing_of_train_after_the_cut(rows: pd.DataFrame, valid: float, test: float) -> None:
    side = sides(by_time(rows, TimeSplit(valid=valid, test=test)), rows)
    at = {name: rows["timestamp"][side == name] for name in ("train", "valid", "test")}
    later = [moments for moments in at.values() if len(moments)]
    assert all(one.max() < other.min() for one, other in itertools.pairwise(later)), "a moment is on one side alone"
    assert len(at["test"]) >= math.floor(test * (len(rows) - 1) + 1e-9), "ties at the cut go to the later side"
    assert len(at["valid"]) + len(at["test"]) >= math.floor((valid + test) * (len(rows) - 1) + 1e-9)


@pytest.mark.fault("F55")
@laws
@given(rows=interactions(), valid=shares, test=shares)
def test_a_split_per_user_holds_out_the_last_rows_of_each(rows: pd.DataFrame, valid: float, test: float) -> None:
    split = PerUserSplit(valid=valid, test=test)
    side = sides(per_user(rows, split), rows)
    for _, own in rows.groupby("user_id"):
        tie = row_hash(own, ["user_id", "item_id", "rating", "timestamp"])
        ordered = side[own.assign(tie=tie).sort_values(["timestamp", "item_id", "rating", "tie"]).index].tolist()
        n = len(ordered)
        held_test, held_valid = (max(1, int(n * share)) for share in (test, valid))
        held = (held_valid, held_test) if n >= 3 else (0, 0)
        assert ordered == ["train"] * (n - sum(held)) + ["valid"] * held[0] + ["test"] * held[1]
        assert ordered[0] == "train", "every user can be learnt"


@pytest.mark.fault("F55")
@laws
@given(rows=interactions())
def test_leave_one_out_holds_out_the_last_like_of_each_and_the_like_before_it(rows: pd.DataFrame) -> None:
    liked = rows["rating"].ge(4).astype(float)
    side = sides(last_like(rows, liked), rows)
    for _, own in rows.groupby("user_id"):
        tie = row_hash(own, ["user_id", "item_id", "rating", "timestamp"])
        order = own.assign(tie=tie).sort_values(["timestamp", "item_id", "rating", "tie", "row"]).index
        likes, held = [index for index in order if liked[index]], side[order].tolist()
        if len(likes) < 3:
            assert set(held) == {"train"}, "too few likes to learn from and to be tested on"
            continue
        assert [side[index] for index in likes[-3:]] == ["train", "valid", "test"]
        assert held == sorted(held, key=["train", "valid", "test"].index), "nothing of train is later than what is held out"
        assert [index for index in likes if side[index] != "train"] == likes[-2:]


@pytest.mark.fault("F52")
@laws
@given(rows=interactions(), valid=shares, test=shares, order=st.randoms(use_true_random=False))
def test_a_split_does_not_depend_on_the_order_of_rows(rows: pd.DataFrame, valid: float, test: float, order: random.Random) -> None:
    shuffled = rows.loc[order.sample(list(rows.index), len(rows))]
    for split, cut in ((TimeSplit(valid=valid, test=test), by_time), (PerUserSplit(valid=valid, test=test), per_user)):
        one, other = sides(cut(rows, split), rows), sides(cut(shuffled, split), shuffled)
        pd.testing.assert_series_equal(one, other.reindex(rows.index))


@laws
@given(rows=interactions(), valid=shares, test=shares, seed=st.integers(0, 2**31 - 1))
def test_a_random_split_puts_copies_of_a_row_on_one_side(rows: pd.DataFrame, valid: float, test: float, seed: int) -> None:
    twice = pd.concat([rows, rows], ignore_index=True)
    side = sides(at_random(twice, RandomSplit(valid=valid, test=test), seed), twice)
    content = [twice[name] for name in ("user_id", "item_id", "rating", "timestamp")]
    assert side.groupby(content).nunique().eq(1).all()


@laws
@given(rows=interactions(), valid=shares, test=shares)
def test_parts_of_one_weighted_rating_are_on_one_side(rows: pd.DataFrame, valid: float, test: float) -> None:
    weighted = rows.assign(weight=0.5)
    for split in (
        per_user(weighted, PerUserSplit(valid=valid, test=test), parts=True),
        at_random(weighted, RandomSplit(valid=valid, test=test), 1, parts=True),
    ):
        side = sides(split, weighted)
        assert side.groupby([weighted["user_id"], weighted["timestamp"]]).nunique().eq(1).all()


@laws
@given(rows=interactions(), least=st.integers(2, 4), held=st.lists(st.sampled_from(["train", "valid", "test"]), min_size=80, max_size=80))
def test_minimums_count_train_rows_alone(rows: pd.DataFrame, least: int, held: list[str]) -> None:
    spec = DatasetSpec(name="core", source=SampleSource(), min_user_interactions=least, min_item_interactions=least)
    split = rows.assign(split=held[: len(rows)])
    kept = split[in_core(split, spec)]
    train = kept[kept["split"] == "train"]
    assert train.groupby("user_id").size().ge(least).all() and train.groupby("item_id").size().ge(least).all()
    assert set(kept["user_id"]) <= set(train["user_id"]) and set(kept["item_id"]) <= set(train["item_id"])
    alone = split[split["split"] == "train"]
    assert train.equals(alone[in_core(alone, spec)]), "what is held out decides nothing"


def test_held_out_rows_do_not_bring_a_user_in(tmp_path: Path) -> None:
    """Two users of two train rows each; one of them has a third row, in test."""
    rows = [("a", "x", "train"), ("a", "y", "train"), ("b", "x", "train"), ("b", "y", "train"), ("b", "x", "test"), ("c", "x", "valid")]
    rows += [("d", item, part) for item, part in (("x", "train"), ("y", "train"), ("z", "train"), ("x", "valid"), ("y", "test"))]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "split"]).assign(rating=[5, 1] * 5 + [5], timestamp=range(11))
    source = given_rows(tmp_path / "s", table, reads={"split": True})
    seen = preview(DatasetSpec(name="g", source=source, split={"kind": "column"}, min_user_interactions=3))
    assert seen.audit.set_aside == {CORE: 6}, "all rows of a, b and c"
    assert seen.audit.users == 1


def test_movielens_in_another_order_has_the_same_test_rows(ml100k: Path) -> None:
    """Most ratings share their second with another of the same user: the order of ties decides a quarter of the test rows."""
    spec = DatasetSpec(name="ml", source={"kind": "movielens", "path": str(ml100k)}, split={"kind": "per_user"})  # type: ignore[arg-type]
    rows = preview_rows(spec.source)
    turned = rows.sample(frac=1, random_state=1).assign(row=range(len(rows)))
    one, other = (per_user(frame, PerUserSplit()) for frame in (rows, turned))
    pd.testing.assert_series_equal(pd.Series(one, rows.index), pd.Series(other, turned.index).reindex(rows.index))
