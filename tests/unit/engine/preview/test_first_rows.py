"""The audit of a preview: counts against numbers worked out by hand and by other means."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.preview.first_rows import preview, preview_rows
from engine.sources.sample import SampleSource
from tests.given import given

SAMPLE = SampleSource(users=80, items=60, interactions=1200)


def sample(**fields: object) -> DatasetSpec:
    return DatasetSpec(name="sample", source=SAMPLE, **fields)


def test_an_audit_counts_what_is_there() -> None:
    found, rows = preview(sample()).audit, SAMPLE.frame()
    assert (found.rows_read, found.rows_used, found.users, found.items) == (1200, 1200, 80, rows["item_id"].nunique())
    assert found.density == pytest.approx(1200 / (80 * (found.items or 0)))
    assert dict(found.ratings) == rows["rating"].value_counts().to_dict()
    assert (found.first, found.last) == (rows["timestamp"].min(), rows["timestamp"].max())
    assert not found.truncated
    assert sum(n for _, n in found.activity) == 80
    assert sum(n for _, _, n in found.timeline) == 1200
    by_item = rows["item_id"].value_counts()
    assert found.long_tail[0] == (0, 0)
    assert found.long_tail[-1] == (1, 1)
    top = by_item.head(len(by_item) // 2).sum() / 1200
    half = np.interp(0.5, *np.array(found.long_tail).T)
    assert half == pytest.approx(top, abs=0.02)


@pytest.mark.fault("F49", "F50", "F51")
def test_rows_used_and_set_aside_are_the_rows_read(tmp_path: Path) -> None:
    rows = SAMPLE.frame().astype({"rating": object})
    rows.loc[3, "user_id"] = None
    rows.loc[4, "rating"] = "nine"
    rows.loc[[5, 6], "item_id"] = ["", "  "]
    messy = pd.concat([rows.astype({"rating": str}), rows.iloc[10:15].astype({"rating": str})])
    spec = DatasetSpec(name="g", source=given(tmp_path / "s", messy), min_item_interactions=5, min_user_interactions=3)
    found = preview(spec)
    audit = found.audit
    assert audit.rows_read == 1205
    assert audit.rows_used + sum(audit.set_aside.values()) == 1205
    assert audit.set_aside["no item id"] == 2
    assert audit.set_aside["no user id"] == audit.set_aside["the rating is not a number"] == 1
    assert audit.set_aside["an exact copy of another row"] == audit.exact_copies == 5
    assert found.set_aside["row"].head(4).tolist() == [4, 5, 6, 7]
    assert '"rating": "nine"' in found.set_aside["raw"].iloc[1]
    assert found.set_aside["raw"].str.contains("item_id").all(), "copies too"


def test_a_time_split_cuts_at_the_higher_quantile_for_all_users() -> None:
    rows = SAMPLE.frame()
    audit = preview(sample(label={"kind": "threshold"}, split={"kind": "time", "valid": 0.2, "test": 0.1})).audit
    test_from = np.quantile(rows["timestamp"], 0.9, method="higher")
    valid_from = np.quantile(rows["timestamp"], 0.7, method="higher")
    train, test = rows[rows["timestamp"] < valid_from], rows[rows["timestamp"] >= test_from]
    assert {name: facts.rows for name, facts in audit.splits.items()} == {
        "train": len(train), "valid": 1200 - len(train) - len(test), "test": len(test),
    }  # fmt: skip
    assert audit.splits["train"].positive_share == pytest.approx((train["rating"] >= 4).mean())
    assert audit.splits["test"].cold_users == len(set(test["user_id"]) - set(train["user_id"]))
    assert audit.splits["test"].cold_user_rows == (~test["user_id"].isin(train["user_id"])).sum()


@pytest.mark.fault("F55", "F56")
def test_users_to_rank_went_on_to_like_what_was_new_to_them(tmp_path: Path) -> None:
    rows = [
        ("a", "x", 5, "train"), ("b", "y", 5, "train"), ("c", "x", 1, "train"), ("d", "y", 5, "valid"),
        ("a", "x", 5, "test"), ("b", "x", 5, "test"), ("c", "z", 5, "test"), ("c", "y", 1, "test"), ("new", "x", 5, "test"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "split"]).assign(timestamp=range(len(rows)))
    spec = DatasetSpec(name="g", source=given(tmp_path / "s", table, reads={"split": True}), split={"kind": "column"})
    audit = preview(spec).audit
    assert audit.splits["test"].users_to_rank == 1, "a met x before, c liked z which train lacks, new is unknown: b is left"
    assert audit.splits["test"].cold_items == 1


def test_features_are_told_with_what_train_knows(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "user_id": ["a", "b", "a", "b", "c", "c"], "item_id": ["x", "y", "z", "x", "y", "z"], "rating": [5, 1, 5, 1, 5, 1],
            "timestamp": range(6), "split": ["train"] * 4 + ["valid", "test"], "shop": ["p", "p", "q", None, "q", "r"],
            "price": [1.0, 3.0, None, 2.0, 9.0, 8.0], "tags": ["s|t", "t", "", "s", "u", "t|v"],
        }
    )  # fmt: skip
    told = (("shop", "context", "single"), ("price", "context", "dense"), ("tags", "context", "multi"), ("genre", "item", "single"))
    items = pd.DataFrame({"item_id": ["x", "y", "z", "w"], "title": ["X", "", None, "W"], "genres": None, "genre": ["g", "h", None, "h"]})
    source = given(tmp_path / "s", table, items=items, told=told, reads={"split": True})
    audit = preview(DatasetSpec(name="g", source=source, split={"kind": "column"}, min_count=2)).audit
    shop, price, tags, genre = audit.features
    assert (shop.distinct, shop.rare, shop.missing) == (2, 1, pytest.approx(1 / 6))
    assert shop.top == [("p", 2), ("q", 1)]
    assert shop.unknown == {"train": pytest.approx(1 / 3), "valid": 1, "test": 1}
    assert (price.mean, price.low, price.high) == (2, 1, 9)
    assert tags.unknown["test"] == 0.5
    assert tags.top[0] == ("s", 2)
    assert (genre.rows, genre.missing, genre.top) == (4, 0.25, [("g", 2), ("h", 1)])
    assert audit.items_without_title == 2


def test_hashed_values_that_share_a_row_are_counted(tmp_path: Path) -> None:
    table = SAMPLE.frame().assign(city=lambda rows: rows["item_id"].map("city {}".format))
    source = given(tmp_path / "s", table, told=(("city", "context", "single"),))
    few = preview(DatasetSpec(name="g", source=source, hashed=("city",), hash_rows=2)).audit.features[0]
    many = preview(DatasetSpec(name="g", source=source, hashed=("city",), hash_rows=1 << 30)).audit.features[0]
    assert few.collisions == 1
    assert many.collisions == 0
    assert many.rare is None


@pytest.mark.fault("F51", "F52")
def test_what_refuses_and_what_to_look_at_is_said(tmp_path: Path) -> None:
    assert [f.level for f in preview(sample(label={"kind": "threshold", "threshold": 9})).audit.findings][:1] == ["block"]
    rows = SAMPLE.frame()
    rows.loc[0, "timestamp"], rows.loc[1, "timestamp"] = 0, 99_999_999_999
    rows["user_id"] = rows["user_id"].replace({"1": "007", "2": "NULL", "3": "12345678901234567890"})
    said = " ".join(f.text for f in preview(DatasetSpec(name="g", source=given(tmp_path / "s", rows))).audit.findings)
    rows.loc[2, "rating"] = 99
    far = preview(DatasetSpec(name="g", source=given(tmp_path / "far", rows))).audit
    assert [f.level for f in far.findings if "1 label far outside" in f.text] == ["warn"]
    assert "far outside" not in said
    for part in ("1 January 1970", "in the future", "begin with zeros", "16 digits"):
        assert part in said
    missing = int((rows["user_id"] == "NULL").sum())
    assert missing > 1 and f"{missing} rows have a user id that reads like a missing value: ids are kept as text." in said
    nothing = given(tmp_path / "n", pd.DataFrame({"user_id": [""], "item_id": ["x"], "rating": ["4"], "timestamp": ["1"]}))
    with pytest.raises(ValueError, match="No row is left to use: 1 have no user id"):
        preview(DatasetSpec(name="g", source=nothing))


def test_an_implicit_source_is_liked_throughout(tmp_path: Path) -> None:
    source = given(tmp_path / "s", SAMPLE.frame().drop(columns="rating"), reads={"value": "none"}, preset={"label": {"kind": "implicit"}})
    audit = preview(DatasetSpec(name="g", source=source)).audit
    assert audit.splits["train"].positive_share == 1
    assert not [f for f in audit.findings if f.level == "block"]
    assert audit.splits["test"].users_to_rank


def test_rows_read_once_serve_many_specs() -> None:
    rows = preview_rows(SAMPLE)
    before = rows.copy()
    preview(sample(duplicates="latest", min_item_interactions=20), rows)
    pd.testing.assert_frame_equal(rows, before)
