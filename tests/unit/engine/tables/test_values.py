"""Cells of a stranger's table: numbers with commas, values that mean missing, and what is asked about them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from engine.sources.table import TableSource
from engine.tables.guess import ColumnGuess, TableGuess
from engine.tables.inspect import inspect_table
from tests.alike import set_aside
from workers.prepare.rows import read_frame

USER, ITEM = {"name": "user", "role": "user"}, {"name": "item", "role": "item"}


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Tables in the temporary folder may be read."""


def look(folder: Path, content: str, name: str = "t.csv") -> TableGuess:
    (folder / name).write_text(content)
    return inspect_table(str(folder / name))


def one(guess: TableGuess, name: str) -> ColumnGuess:
    return next(column for column in guess.columns if column.name == name)


def rows(source: TableSource) -> pd.DataFrame:
    return read_frame(source.frame(), source.reading(), source.features())


@pytest.mark.parametrize(
    ("values", "others", "numbers", "asked", "read"),
    [
        (["3,5", "4", "2,25"], "x", "decimal_comma", False, [3.5, 4, 2.25]),
        (["1.234,5", "12", "2.000.000"], "x", "decimal_comma", False, [1234.5, 12, 2_000_000]),
        (["1,234.5", "12", "2,000,000"], "x", "thousands", False, [1234.5, 12, 2_000_000]),
        (["1,234", "12", "999"], "0.5", "thousands", False, [1234, 12, 999]),
        (["1,234", "12", "999"], "0,5", "decimal_comma", False, [1.234, 12, 999]),
        (["1,234", "12", "999"], "x", "thousands", True, [1234, 12, 999]),
        (["1 234", "12", "12 345 678"], "x", "thousands", False, [1234, 12, 12_345_678]),
        (["1\u202f234", "12", "12\u00a0345"], "x", "thousands", False, [1234, 12, 12_345]),
        (["1'234", "12", "12’345.5"], "x", "thousands", False, [1234, 12, 12_345.5]),
        (["$1,234.50", "$12", "-$3"], "x", "thousands", False, [1234.5, 12, -3]),
        (["12,50 €", "3 €", "1.000,00 €"], "x", "decimal_comma", False, [12.5, 3, 1000]),
        (["1.234", "2.500", "0.125"], "x", "plain", False, [1.234, 2.5, 0.125]),
        (["1.234", "2.500", "12.125"], "0,5", "decimal_comma", True, [1234, 2500, 12_125]),
        (["3,5", "1,234.5", "4,5"], "x", "decimal_comma", True, [3.5, None, 4.5]),
        (["3.5", "4", "1e3"], "0,5", "plain", False, [3.5, 4, 1000]),
    ],
)  # fmt: skip
def test_numbers_are_read_as_their_column_writes_them(
    tmp_path: Path, values: list[str], others: str, numbers: str, asked: bool, read: list[float | None]
) -> None:
    content = "user;item;rating;other\n" + "".join(f"u{k};i{k};{value};{others}\n" for k, value in enumerate(values))
    guess = look(tmp_path, content)
    rating = one(guess, "rating")
    assert (rating.role, rating.numbers, rating.numbers_open is not None) == ("label", numbers, asked)
    assert rating.examples[0] == values[0], "the page shows what the file says"
    columns = [USER, ITEM, {"name": "rating", "role": "label", "numbers": numbers}]
    found = rows(TableSource(**(guess.spec_fields() | {"columns": columns, "time_unit": None})))
    assert [None if pd.isna(number) else number for number in found["rating"]] == read
    assert found["reason"].tolist() == ["the rating is not a number" if number is None else None for number in read]


def test_a_vote_with_thousands_is_a_number_and_no_list(tmp_path: Path) -> None:
    guess = inspect_table(_case(tmp_path, "20-date-becomes-tags", "input.jsonl"))
    vote = one(guess, "vote")
    assert (vote.role, vote.numbers, vote.numbers_open) == ("dense", "thousands", None)
    assert one(guess, "reviewTime").role == "ignore"
    assert one(guess, "helpful").role != "tags" or not one(guess, "helpful").certain


def _case(folder: Path, kind: str, name: str) -> str:
    """The input of a case, as small as its note gives it."""
    content = {
        "20-date-becomes-tags": (
            '{"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1393545600, "reviewTime": "02 28, 2014", '
            '"vote": "1,234", "helpful": [2, 3]}\n'
            '{"reviewerID": "A2", "asin": "B1", "overall": 3.0, "unixReviewTime": 1363392000, '
            '"reviewTime": "03 16, 2013", "helpful": [0, 0]}\n'
            '{"reviewerID": "A3", "asin": "B2", "overall": 4.0, "unixReviewTime": 1377648000, '
            '"reviewTime": "08 28, 2013", "helpful": [1, 1]}\n'
        ),
        "07-NA-user-is-one-person": (
            "sessionId;userId;itemId;timeframe;eventdate\n1;NA;81001;526309;2016-05-09\n1;NA;31002;1031018;2016-05-09\n"
            "2;NA;32003;243569;2016-05-09\n2;3;9004;75848;2016-05-09\n3;NA;32005;1112408;2016-05-10\n"
        ),
    }[kind]
    (folder / name).write_text(content)
    return str(folder / name)


def test_a_user_that_may_be_missing_is_asked_about_with_its_rows(tmp_path: Path) -> None:
    guess = inspect_table(_case(tmp_path, "07-NA-user-is-one-person", "input.csv"))
    user = one(guess, "userId")
    assert [tuple(value) for value in user.absent] == [("NA", 4)]
    assert "'NA' in 4 of the first 5 rows" in str(user.absent_open)
    assert "sessionId has a value in every row" in str(user.absent_open)
    fields = guess.spec_fields()
    for column in fields["columns"]:
        column["missing"] = ["NA"] if column["name"] == "userId" else []
    source = TableSource(**fields)
    assert list(set_aside(source).values()) == ["no user id"] * 4
    assert rows(source)["user_id"].dropna().tolist() == ["3"]


def test_named_values_are_missing_for_ids_labels_numbers_and_categories(tmp_path: Path) -> None:
    content = (
        "user,item,rating,age,city\nu1,i1,5,31,Rome\n-1,i1,4,,Rome\nu1,0,3,4,Rome\nu2,i2,99,5,unknown\nu3, NA ,2,-1,-\nu3,i2,4,-1,\\N\n"
    )
    (tmp_path / "t.csv").write_text(content)
    columns = [
        USER | {"missing": ["-1"]}, ITEM | {"missing": ["0", "NA"]}, {"name": "rating", "role": "label", "missing": ["99"]},
        {"name": "age", "role": "dense", "missing": ["-1"]}, {"name": "city", "role": "category", "missing": ["unknown", "-", "\\N"]},
    ]  # fmt: skip
    found = rows(TableSource(path=str(tmp_path / "t.csv"), columns=columns))
    assert found["reason"].tolist() == [None, "no user id", "no item id", "no rating", "no item id", None]
    assert found["age"].fillna(-7).tolist() == [31, -7, 4, 5, -7, -7]
    assert found["city"].isna().tolist() == [False, False, False, True, True, True]


def test_a_missing_id_of_a_users_table_joins_nobody(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,item\nu1,i1\n")
    (tmp_path / "u.csv").write_text('user,income\nu1,"1.250,50"\nNA,7\n')
    users = {"path": str(tmp_path / "u.csv"), "columns": [
        USER | {"missing": ["NA"]}, {"name": "income", "role": "dense", "numbers": "decimal_comma"},
    ]}  # fmt: skip
    frame = TableSource(path=str(tmp_path / "t.csv"), columns=[USER, ITEM], users=users).users_frame()
    assert frame.to_dict("records") == [{"user_id": "u1", "income": 1250.5}]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", "-1", "2", "-1"], [("-1", 2)]),
        (["1", "-1", "-2", "3"], []),
        (["7", "99", "99", "-8"], [("99", 2)]),
        (["70", "99", "99", "8"], []),
        (["0"] * 12 + ["5", "6", "6"], [("0", 12)]),
        (["0", "0", "5", "6", "6"], []),
        (["a", "NA", "null", "NA", ""], [("NA", 2), ("null", 1)]),
    ],
)
def test_values_that_may_mean_missing_are_offered(tmp_path: Path, values: list[str], found: list[tuple[str, int]]) -> None:
    guess = look(tmp_path, "user,item\n" + "".join(f"{value},i{k}\n" for k, value in enumerate(values)))
    assert [tuple(value) for value in one(guess, "user").absent] == found
    assert (one(guess, "user").absent_open is not None) == bool(found)


def test_an_old_spec_without_these_fields_still_reads() -> None:
    column: Any = TableSource(path="t", columns=[USER, ITEM]).columns[0]
    assert (column.numbers, column.missing) == ("plain", ())
