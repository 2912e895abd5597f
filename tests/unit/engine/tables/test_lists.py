"""Cells that hold lists: of items, of item-label pairs, of tags; each is known, and items get a row each."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from engine.sources.table import TableSource
from engine.tables.guess import TableGuess
from engine.tables.inspect import inspect_table
from tests.alike import set_aside
from tests.messy import mapping
from workers.prepare.rows import read_frame

IMPRESSIONS = (
    "1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0\n2\tU91836\t11/12/2019 6:11:30 PM\t\tN20678-0 N39317-1 N58114-0\n"
)


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Tables in the temporary folder may be read."""


def look(folder: Path, content: str, name: str = "t.csv") -> TableGuess:
    (folder / name).write_text(content)
    return inspect_table(str(folder / name))


def rows(source: TableSource) -> pd.DataFrame:
    return read_frame(source.frame(), source.reading(), source.features())


def test_impressions_in_one_cell_become_a_row_each(tmp_path: Path) -> None:
    guess = look(tmp_path, IMPRESSIONS, "behaviors.tsv")
    assert [column.role for column in guess.columns] == ["ignore", "user", "timestamp", "ignore", "item"]
    assert (guess.columns[4].listed, guess.columns[4].separator) == ("pairs", " ")
    assert any("column_5 holds lists of item-label" in note for note in guess.notes)
    assert any("column_4 holds lists of items" in note for note in guess.notes)
    source = TableSource(**(guess.spec_fields() | {"time_unit": "month/day/year"}))
    source.check()
    assert source.defaults()["label"] == {"kind": "given"}
    found = rows(source)
    assert found["reason"].isna().all()
    assert list(zip(found["user_id"], found["item_id"], found["rating"], strict=True)) == [
        ("U13740", "N55689", 1), ("U13740", "N35729", 0), ("U91836", "N20678", 0), ("U91836", "N39317", 1), ("U91836", "N58114", 0),
    ]  # fmt: skip
    assert any("item-label: each item is a row of its own" in note for note in source.notes())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '{"user": "u1", "items": ["a1", "b2"], "at": 1}\n{"user": "u2", "items": ["a1"], "at": 2}\n'),
        ("t.csv", 'user,items,at\nu1,"[""a1"", ""b2""]",1\nu2,"[""a1""]",2\n'),
        ("t.csv", "user;items;at\nu1;['a1', 'b2'];1\nu2;['a1'];2\n"),
        ("t.csv", "user,items,at\nu1,a1 b2,1\nu2,a1,2\n"),
        ("t.csv", "user,items,at\nu1,a1|b2,1\nu2,a1,2\n"),
        ("t.csv", "user;basket;at\nu1;a1,b2;1\nu2;a1;2\n"),
    ],
)
def test_a_basket_in_one_cell_becomes_a_row_for_each_item(tmp_path: Path, name: str, content: str) -> None:
    guess = look(tmp_path, content, name)
    item = guess.columns[1]
    assert (item.role, item.listed) == ("item", "items")
    source = TableSource(**(guess.spec_fields() | {"time_unit": "order"}))
    found = rows(source)
    assert list(zip(found["user_id"], found["item_id"], found["timestamp"], strict=True)) == [
        ("u1", "a1", 1),
        ("u1", "b2", 1),
        ("u2", "a1", 2),
    ]


def test_lists_in_parquet_become_rows_and_cells_without_items_are_counted(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": ["u1", "u2", "u3"], "items": [["a1", "b2"], [], None], "age": [1, 2, 3]})
    frame.to_parquet(tmp_path / "t.parquet")
    columns = [{"name": "user", "role": "user"}, {"name": "items", "role": "item", "listed": "items"}, {"name": "age", "role": "dense"}]
    source = TableSource(path=str(tmp_path / "t.parquet"), format="parquet", columns=columns)
    found = rows(source)
    assert found["reason"].tolist() == [None, None, "no item id", "no item id"]
    assert found["age"].tolist() == [1, 1, 2, 3]
    assert len(source.frame(1)) == 1


def test_lines_that_cannot_be_read_and_pairs_without_a_label_are_set_aside(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("u\ti\nu1\tn1-1  n-2-0,n3\nbad\nu2\tn4-0.5\n")
    columns = [{"name": "u", "role": "user"}, {"name": "i", "role": "item", "listed": "pairs", "separator": " "}]
    source = TableSource(path=str(tmp_path / "t.tsv"), delimiter="\t", columns=columns)
    assert list(set_aside(source).values()) == ["no rating", "1 field instead of 2"]
    assert rows(source)["item_id"].tolist() == ["n1", "n-2-0,n3", None, "n4"]


def test_a_label_beside_pairs_is_a_contradiction() -> None:
    columns = [*mapping(("user", "label"), ("user", "label")), {"name": "item", "role": "item", "listed": "pairs"}]
    with pytest.raises(ValueError, match="holds pairs of item-label, and label is a label too"):
        TableSource(path="t", columns=columns)


@pytest.mark.parametrize(
    "values",
    [["Toy Story", "Heat"], ["2019-10-01 10:00:00", "2019-10-02"], ["1011 AB", "1012 CD"], ["+31 20 555", "020 555 12"], ["a-1", "b-0"]],
)
def test_titles_dates_and_codes_are_no_lists(tmp_path: Path, values: list[str]) -> None:
    guess = look(tmp_path, "user,item,text\n" + "".join(f"u{k},i{k},{value}\n" for k, value in enumerate(values)))
    assert [column.listed for column in guess.columns] == ["one", "one", "one"]


def test_sequences_of_recbole_are_tags_separated_by_blanks(tmp_path: Path) -> None:
    content = "user_id:token\titem_id:token\tgenre_list:token_seq\tvector:float_seq\nu1\ti1\tAction Crime\t0.5 0.25\nu2\ti2\tDrama\t0.5 1\n"
    guess = look(tmp_path, content, "t.inter")
    for place, certain in ((2, True), (3, False)):
        column = guess.columns[place]
        assert (column.role in ("tags", "genres"), column.separator) == (True, " ")
        assert column.certain or not certain
    columns = [
        *mapping(("user_id:token", "item_id:token"), ("user", "item")),
        {"name": "genre_list:token_seq", "role": "tags", "separator": " "},
    ]
    frame = TableSource(**(guess.spec_fields() | {"columns": columns})).frame()
    assert frame.iloc[:, -3].tolist() == ["Action|Crime", "Drama"]


def test_objects_in_a_row_are_named_with_a_conversion_that_works(tmp_path: Path) -> None:
    lines = [{"user": "u1", "basket": [{"item": "a", "n": 2}, {"item": "b", "n": 1}]}, {"user": "u2", "basket": [{"item": "a", "n": 1}]}]
    guess = look(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "FILE")
    (note,) = [note for note in guess.notes if "holds objects" in note]
    subprocess.run(["sh", "-c", note.partition("for each: ")[2]], cwd=tmp_path, check=True)
    converted = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert converted == [{"user": "u1", "item": "a", "n": 2}, {"user": "u1", "item": "b", "n": 1}, {"user": "u2", "item": "a", "n": 1}]


def test_numbers_in_lists_are_asked_about(tmp_path: Path) -> None:
    guess = look(tmp_path, '{"user": 1, "item": 2, "helpful": [2, 3]}\n{"user": 2, "item": 2, "helpful": [0, 0]}\n', "t.jsonl")
    assert (guess.columns[2].role, guess.columns[2].certain) == ("ignore", False)
