"""Raw rows to interactions: what is kept, as what, and what is set aside for which reason."""

import numpy as np
import pandas as pd
import pytest

from workers.prepare.rows import Reading, SourceFeature, read_frame

PLAIN = Reading()


def rows(reading: Reading = PLAIN, features: tuple[SourceFeature, ...] = (), **columns: object) -> pd.DataFrame:
    size = max(len(c) for c in columns.values() if isinstance(c, list))
    given = {"user_id": ["u"] * size, "item_id": ["i"] * size, "rating": ["4"] * size, "timestamp": ["880000000"] * size} | columns
    return read_frame(pd.DataFrame(given, dtype=None), reading, features)


def test_ids_are_kept_as_the_very_text_they_were() -> None:
    ids = ["NA", "null", "007", "9223372036854775807123", "1e5", " 7", "🎬", "nan"]
    found = rows(user_id=ids, item_id=ids[::-1])
    assert found["user_id"].tolist() == ids
    assert found["item_id"].tolist() == ids[::-1]
    assert found["reason"].isna().all()


@pytest.mark.parametrize("blank", ["", None, "   ", "\t"])
def test_a_blank_id_sets_its_row_aside_with_the_row_as_text(blank: object) -> None:
    found = rows(user_id=["a", blank], item_id=["b", "c"])
    assert found["reason"].tolist() == [None, "no user id"]
    assert found["raw"].iloc[0] is None
    assert '"item_id": "c"' in found["raw"].iloc[1]
    assert rows(item_id=["b", blank])["reason"].tolist() == [None, "no item id"]


def test_every_label_is_a_number_in_range_or_its_row_is_set_aside() -> None:
    given = ["4.5", " 3 ", "1e0", "", "four", "inf", "-1", "9", "NaN", "3,5", "true"]
    found = rows(Reading(low=0, high=5), rating=given)
    assert found["rating"].iloc[[0, 1, 2, 10]].tolist() == [4.5, 3, 1, 1]
    assert found["reason"].tolist() == [
        None, None, None, "no rating", "the rating is not a number", "the rating is infinite", "the rating is outside 0 to 5",
        "the rating is outside 0 to 5", "the rating is not a number", "the rating is not a number", None,
    ]  # fmt: skip
    typed = rows(rating=[1.0, np.nan, np.inf, -3.0])
    assert typed["reason"].tolist() == [None, "no rating", "the rating is infinite", None]


@pytest.mark.parametrize(
    "unit, given, seconds",
    [
        ("s", "880000000", 880_000_000),
        ("s", "-5", -5),
        ("ms", "880000000999", 880_000_000),
        ("us", "880000000000001", 880_000_000),
        ("ns", "1700000000123456789", 1_700_000_000),
        ("magnitude", "1700000000123", 1_700_000_000),
        ("magnitude", "1700000000", 1_700_000_000),
        ("iso", "2016-03-12 22:10:24", 1_457_820_624),
        ("iso", "2016-03-12T22:10:24+02:00", 1_457_813_424),
        ("iso", "2016-03-12", 1_457_740_800),
        ("order", "17", 17),
    ],
)
def test_timestamps_are_read_in_their_unit(unit: str, given: str, seconds: int) -> None:
    found = rows(Reading(time=unit), timestamp=[given])  # type: ignore[arg-type]
    assert found["timestamp"].tolist() == [seconds]
    assert found["reason"].tolist() == [None]


def test_timestamps_that_cannot_be_read_set_their_row_aside() -> None:
    assert rows(timestamp=["", "soon", "99999999999999"])["reason"].tolist() == [
        "no timestamp", "the timestamp cannot be read", "the timestamp is outside the years 1 to 9999",
    ]  # fmt: skip
    assert rows(Reading(time="iso"), timestamp=["", "31.12.1999", "2001-02-03"])["reason"].tolist() == [
        "no timestamp", "the timestamp cannot be read", None,
    ]  # fmt: skip
    typed = rows(timestamp=pd.to_datetime(["2016-03-12 22:10:24"]).tolist())
    assert typed["timestamp"].tolist() == [1_457_820_624]


def test_a_problem_of_the_reader_comes_first_and_keeps_its_line() -> None:
    found = rows(user_id=["a", None], problem=[None, "3 fields instead of 4"], raw=[None, "1,2,3"])
    assert found["reason"].tolist() == [None, "3 fields instead of 4"]
    assert found["raw"].tolist() == [None, "1,2,3"]


def test_features_and_splits() -> None:
    features = (
        SourceFeature("price", "context", "dense"),
        SourceFeature("shop", "context", "single"),
        SourceFeature("tags", "item", "multi"),
    )
    found = rows(
        Reading(split=True), features, price=["1.5", "", "cheap"], shop=["", "a", "b"], tags=["x|y", "", None],
        split=["Train", "VAL", "holdout"],
    )  # fmt: skip
    assert found["price"].tolist()[0] == 1.5
    assert found["price"].isna().tolist() == [False, True, True]
    assert found["shop"].tolist() == [None, "a", "b"]
    assert found["tags"].tolist() == ["x|y", None, None]
    assert found["split"].tolist()[:2] == ["train", "valid"]
    assert found["reason"].tolist() == [None, None, "the split is neither train, valid nor test"]


def test_several_actions_are_zero_or_one() -> None:
    reading = Reading(value="actions", actions=("view", "buy"), time=None)
    raw = pd.DataFrame({"user_id": ["a"] * 4, "item_id": ["b"] * 4, "action.view": ["1", "", "", "2"], "action.buy": ["0", "1", "", "0"]})
    found = read_frame(raw, reading, ())
    assert found["reason"].tolist() == [None, None, "no label", "an action is neither 0 nor 1"]
    assert found["action.view"].tolist()[:2] == [1, 0]
    assert found["timestamp"].tolist() == [0] * 4


def test_a_source_without_user_and_item_has_rows_all_the_same() -> None:
    raw = pd.DataFrame({"rating": ["0", "1"], "I1": ["3", ""]})
    found = read_frame(raw, Reading(user=False, item=False, time=None, low=0, high=1), (SourceFeature("I1", "context", "dense"),))
    assert found.columns.tolist() == ["row", "rating", "timestamp", "I1", "reason", "raw"]
    assert found["reason"].isna().all()
    assert found["row"].tolist() == [1, 2]
