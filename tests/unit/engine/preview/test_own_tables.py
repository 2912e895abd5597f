"""What the preview makes of tables that people bring: weights, ids that are written in two ways, times finer than a second."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engine.datasets.spec import DatasetSpec
from engine.preview.first_rows import Preview, preview, preview_rows
from engine.preview.labels import usual_threshold
from engine.preview.rows import COPY, split_rows
from engine.sources.table import TableSource

USER, ITEM = {"name": "user_id", "role": "user"}, {"name": "item_id", "role": "item"}
WEIGHT, TIME = {"name": "weight", "role": "weight"}, {"name": "timestamp", "role": "timestamp"}


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Tables in the temporary folder may be read."""


def table(folder: Path, lines: list[str], *columns: dict[str, str], **more: Any) -> TableSource:
    (folder / "t.csv").write_text("\n".join(lines))
    return TableSource(path=str(folder / "t.csv"), columns=columns, **more)


def seen(source: TableSource, **rules: Any) -> Preview:
    return preview(DatasetSpec(name="t", source=source, **rules))


def warned(found: Preview) -> str:
    return " ".join(finding.text for finding in found.audit.findings if finding.level == "warn")


def test_a_weight_that_is_none_sets_its_row_aside(tmp_path: Path) -> None:
    lines = ["user_id,item_id,weight", "1,a,5", "1,b,-3", "2,a,", "2,b,abc", "3,a,0", "3,b,nan", "4,a,inf"]
    rows = preview_rows(table(tmp_path, lines, USER, ITEM, WEIGHT))
    assert rows["reason"].tolist() == [
        None, "the weight is negative", "no weight", "the weight is not a number", None, "the weight is not a number",
        "the weight is infinite",
    ]  # fmt: skip
    assert rows["weight"].iloc[[0, 4]].tolist() == [5, 0]
    assert '"weight": "abc"' in rows["raw"].iloc[3]


def plays(folder: Path, most: int) -> TableSource:
    """What 100 users played, how often, without times."""
    chance = random.Random(1)
    pairs = [(user, item) for user in range(100) for item in chance.sample(range(300), 40)]
    lines = ["user_id,item_id,weight", *(f"{user},{item},{chance.randint(1, 20)}" for user, item in pairs)]
    lines[-1] = f"{lines[-1].rpartition(',')[0]},{most}"
    return table(folder, lines, USER, ITEM, WEIGHT)


def test_rows_with_weights_and_without_times_are_split_one_by_one(tmp_path: Path) -> None:
    found = seen(plays(tmp_path, 20))
    test = found.audit.splits["test"]
    assert (test.users or 0) > 90 and test.cold_users == 0 and (test.users_to_rank or 0) > 90
    assert 0.07 < test.rows / found.audit.rows_used < 0.13


@pytest.mark.parametrize(("most", "asked"), [(20, False), (900, False), (350_000, True)])
def test_a_weight_that_is_rather_a_count_is_asked_about(tmp_path: Path, most: int, asked: bool) -> None:
    found = seen(plays(tmp_path, most))
    assert found.audit.weights is not None and found.audit.weights.highest == max(20, most)
    assert ("times the median" in warned(found)) == asked
    if asked:
        assert "The largest weight, 350,000, is" in warned(found)
        assert "plays" in warned(found)


def customers(folder: Path, **more: Any) -> TableSource:
    """70 customers, whose ids the table of users writes without the point that the interactions have."""
    lines = ["user_id,item_id", *(f"{12_346 + n % 70}.0,i{n % 31}" for n in range(700))]
    (folder / "users.csv").write_text("\n".join(["user_id,segment", *(f"{12_346 + n},{'AB'[n % 2]}" for n in range(70))]))
    users = {"path": str(folder / "users.csv"), "columns": [USER, {"name": "segment", "role": "category"}]}
    return table(folder, lines, USER, ITEM, users=users, **more)


def test_ids_written_in_two_ways_are_found_and_can_be_read_as_one(tmp_path: Path) -> None:
    apart = seen(customers(tmp_path))
    assert "0 of 70 users of the interactions are in the users table (12346.0 against 12346)" in warned(apart)
    assert "read 12346.0 as 12346" in warned(apart)
    together = seen(customers(tmp_path, whole_ids=True))
    assert "users table" not in warned(together)
    assert together.audit.features[0].missing == 0
    assert set(preview_rows(together_source := customers(tmp_path, whole_ids=True))["user_id"]) == set(
        together_source.users_frame()["user_id"]
    )


def test_users_that_the_table_does_not_know_are_counted(tmp_path: Path) -> None:
    source = customers(tmp_path, whole_ids=True)
    (tmp_path / "users.csv").write_text("\n".join(["user_id,segment", *(f"{12_346 + n},A" for n in range(60, 90))]))
    assert "10 of 70 users of the interactions are in the users table (12346 against 12416)" in warned(seen(source))
    assert "whole_ids" not in warned(seen(source))


CLICKS = ["user_id,item_id,timestamp", "1,z,1433221332117", "1,a,1433221332900", "1,a,1433221332950", "1,b,1433221333100",
          "2,a,1433221332117", "2,b,1433221332117"]  # fmt: skip


def test_milliseconds_tell_rows_apart_and_order_them(tmp_path: Path) -> None:
    source = table(tmp_path, CLICKS, USER, ITEM, TIME, time_unit="ms")
    rows = preview_rows(source)
    assert rows["timestamp"].iloc[0] == 1_433_221_332 and rows["subsecond"].iloc[:4].tolist() == [0.117, 0.9, 0.95, 0.1]
    found = seen(source, split={"kind": "per_user", "valid": 0.2, "test": 0.2})
    assert found.audit.rows_used == 6 and COPY not in found.audit.set_aside
    assert found.audit.repeated_pairs == 1
    split = split_rows(rows, DatasetSpec(name="t", source=source, split={"kind": "per_user", "valid": 0.2, "test": 0.2}))  # type: ignore[arg-type]
    assert list(split[:4]) == ["train", "train", "valid", "test"], "z, a, a, b: the clicks in their order"
    assert "subsecond" not in found.head


@pytest.mark.parametrize(
    ("unit", "first", "second"),
    [("s", "1433221332.25", "1433221332.75"), ("us", "1433221332000001", "1433221332000002"),
     ("iso", "2015-06-02T05:02:12.117Z", "2015-06-02T05:02:12.118Z"), ("magnitude", "1433221332117", "1433221332118")],
)  # fmt: skip
def test_every_unit_keeps_what_is_finer_than_a_second(tmp_path: Path, unit: str, first: str, second: str) -> None:
    lines = [
        "user_id,item_id,timestamp",
        f"1,b,{first}",
        f"1,a,{second}",
        f"1,a,{second}",
        "1,c,1433221332" if unit == "s" else f"1,c,{first}",
    ]
    rows = preview_rows(table(tmp_path, lines, USER, ITEM, TIME, time_unit=unit))
    assert rows["timestamp"].nunique() == 1
    assert rows["subsecond"].iloc[0] < rows["subsecond"].iloc[1] == rows["subsecond"].iloc[2]
    assert pd.isna(rows["subsecond"].iloc[3]) == (unit == "s")


@pytest.mark.parametrize(("policy", "stays"), [("latest", 2), ("first", 1)])
def test_of_a_pair_the_row_of_the_latest_millisecond_stays(tmp_path: Path, policy: str, stays: int) -> None:
    source = table(tmp_path, CLICKS, USER, ITEM, TIME, time_unit="ms")
    aside = seen(source, duplicates=policy, split={"kind": "random"}).set_aside
    assert aside["row"].tolist() == [{2: 2, 1: 3}[stays]]


def test_what_is_written_after_the_outcome_is_said_to_tell_it(tmp_path: Path) -> None:
    """An attribution log: -1 where nobody bought, else the moment of the purchase."""
    chance = random.Random(1)
    bought = [chance.random() < 0.4 for _ in range(400)]
    lines = [f"{n % 50},{chance.randint(1, 9)},{int(b)},{500 + n if b else -1},{chance.random():.4f}" for n, b in enumerate(bought)]
    roles = {"uid": "user", "campaign": "item", "conversion": "label", "conversion_timestamp": "dense", "cost": "dense"}
    columns = [{"name": name, "role": role} for name, role in roles.items()]
    found = seen(table(tmp_path, [",".join(roles), *lines], *columns), label={"kind": "given"})
    assert "conversion_timestamp alone tells the label (AUC 1.00 on train)" in warned(found)
    assert "cost alone" not in warned(found)


def test_a_threshold_is_never_the_lowest_label() -> None:
    assert usual_threshold([3, 5, 8, 10], 3, 10, 8) == 5
    assert usual_threshold([4, 5], 4, 5, 4) == 5
    assert usual_threshold([1, 2, 3, 4, 5], 1, 5, 3) == 4
