"""The preview before preparing: counts against numbers worked out by hand and by other means."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.preview import preview, preview_split
from engine.sources.movielens import MovieLensSource
from engine.sources.sample import SampleSource
from engine.specs import MeanLabel, PerUserSplit, ThresholdLabel, TimeSplit

SAMPLE = SampleSource(users=80, items=60, interactions=1200)


class Given(SampleSource):
    """A source that gives the rows it is given."""

    rows: tuple[tuple[str, str, float, int], ...] = ()

    def frame(self, limit: int = 0) -> pd.DataFrame:
        return pd.DataFrame(self.rows, columns=["user_id", "item_id", "rating", "timestamp"])


def test_a_preview_counts_what_is_there() -> None:
    seen, rows = preview(SAMPLE), SAMPLE.frame()
    assert (seen.rows, seen.users, seen.items) == (1200, 80, rows["item_id"].nunique())
    assert seen.density == pytest.approx(1200 / (80 * seen.items))
    assert seen.ratings.set_index("value")["count"].to_dict() == rows["rating"].value_counts().to_dict()
    assert (seen.first, seen.last) == (rows["timestamp"].min(), rows["timestamp"].max())
    assert seen.head["title"].notna().all()
    assert not seen.truncated


def test_a_time_split_cuts_at_the_higher_quantile_for_all_users() -> None:
    rows = SAMPLE.frame()
    split = preview_split(SAMPLE, ThresholdLabel(threshold=4), TimeSplit(valid=0.2, test=0.1))
    test_from = np.quantile(rows["timestamp"], 0.9, method="higher")
    valid_from = np.quantile(rows["timestamp"], 0.7, method="higher")
    train, test = rows[rows["timestamp"] < valid_from], rows[rows["timestamp"] >= test_from]
    assert split.rows == {"train": len(train), "valid": 1200 - len(train) - len(test), "test": len(test)}
    assert split.positive_share["train"] == pytest.approx((train["rating"] >= 4).mean())
    assert split.cold_users_test == len(set(test["user_id"]) - set(train["user_id"]))
    assert split.timeline["count"].sum() == 1200


def test_the_mean_rule_reads_train_alone() -> None:
    split = preview_split(SAMPLE, MeanLabel(), TimeSplit())
    rows = SAMPLE.frame()
    train = rows[rows["timestamp"] < np.quantile(rows["timestamp"], 0.8, method="higher")]
    assert split.threshold == pytest.approx(train["rating"].mean())
    assert split.threshold != pytest.approx(rows["rating"].mean(), abs=1e-9)


def test_a_per_user_split_holds_out_each_users_last_and_spares_the_short() -> None:
    two = [("short", "a", 5.0, 1), ("short", "b", 5.0, 2)]
    three = [("mid", "a", 5.0, 1), ("mid", "b", 5.0, 2), ("mid", "c", 5.0, 3)]
    ten = [("long", f"i{k}", 5.0, 10) for k in range(10)]  # one moment: ties fall in order of the item's id
    source = Given(rows=(*two, *three, *ten))
    split = preview_split(source, ThresholdLabel(), PerUserSplit(valid=0.1, test=0.2))
    assert split.rows == {"train": 2 + 1 + 7, "valid": 1 + 1, "test": 1 + 2}


def test_users_to_rank_are_known_and_went_on_to_like_a_known_item_that_is_new_to_them() -> None:
    train = [("a", "x", 5.0, 1), ("b", "y", 5.0, 2), ("c", "z", 5.0, 3), ("d", "x", 5.0, 4), ("e", "x", 1.0, 5)]
    valid = [("a", "x", 5.0, 11)]
    test = [
        ("a", "y", 5.0, 21),  # counts
        ("b", "y", 5.0, 22),  # met in train
        ("c", "new", 5.0, 23),  # not in the catalogue
        ("new", "x", 5.0, 24),  # not a known user
        ("d", "y", 2.0, 25),  # not liked
    ]
    split = preview_split(Given(rows=(*train, *valid, *test)), ThresholdLabel(), TimeSplit(valid=0.1, test=0.45))
    assert split.rows == {"train": 5, "valid": 1, "test": 5}
    assert split.users_to_rank == {"valid": 0, "test": 1}
    assert (split.cold_users_test, split.cold_items_test) == (1, 1)


def test_movielens_100k_leaves_52_users_by_time(ml100k: Path, workspace: Path) -> None:
    split = preview_split(MovieLensSource(path=str(ml100k)), ThresholdLabel(), TimeSplit())
    assert split.rows == {"train": 79_999, "valid": 10_001, "test": 10_000}
    assert split.users_to_rank["test"] == 52
