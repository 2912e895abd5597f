"""A first look at a table: how it is written and what its columns mean, told where it can be and asked where it cannot."""

import json
from pathlib import Path

import pandas as pd
import pytest

from engine.sources.table import TableSource
from engine.tables.guess import TableGuess
from engine.tables.inspect import inspect_table
from tests import messy


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, messy.Messy]:
    return messy.cases(tmp_path_factory.mktemp("messy"))


def look(tmp_path: Path, content: str | bytes, name: str = "t.csv", **given: object) -> TableGuess:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return inspect_table(str(path), **given)  # type: ignore[arg-type]


def roles(guess: TableGuess) -> dict[str, str]:
    return {column.name: column.role for column in guess.columns}


@pytest.mark.fault("F46", "F47", "F48")
def test_the_guess_finds_how_every_messy_table_is_written(cases: dict[str, messy.Messy], workspace: Path) -> None:
    unlike = {
        "latin-1 taken as utf-8",
        "quotes as characters",
        "a header that repeats",
        "runs of blanks",
        "backslashes",
        "lists in cells",
    }
    for name, case in cases.items():
        guess = inspect_table(case.fields["path"])
        wanted = TableSource(**case.fields)
        if name in unlike:
            continue
        same = {"utf-8-sig": "utf-8", "latin-1": "cp1252"}
        assert same.get(guess.encoding, guess.encoding) == same.get(wanted.encoding, wanted.encoding), name
        assert (guess.format, guess.header) == (wanted.format, wanted.header), name
        if wanted.format == "csv":
            assert guess.delimiter == wanted.delimiter, name
            assert (guess.quoting == "lines") == (wanted.quoting == "lines"), name
        if guess.format == "csv" and wanted.header and name != "headers with spaces, doubles and blanks":
            assert roles(guess) == dict(zip(messy.HEADER, messy.ROLES, strict=True)), name
        TableSource(**guess.spec_fields()).check()


@pytest.mark.fault("F47")
def test_a_header_with_spaces_doubles_and_other_case_is_proposed(tmp_path: Path, workspace: Path) -> None:
    guess = look(tmp_path, " USER Id ,Movie-ID,rating,Rating,,Timestamp\nu1,m1,4,4,x,1700000000\nu2,m2,3,4,y,1700000100\n")
    assert [c.name for c in guess.columns] == ["USER Id", "Movie-ID", "rating", "Rating_2", "column_5", "Timestamp"]
    assert [c.header for c in guess.columns] == [" USER Id ", "Movie-ID", "rating", "Rating", "", "Timestamp"]
    assert roles(guess)["USER Id"] == "user"
    assert roles(guess)["Movie-ID"] == "item"
    assert list(roles(guess).values()).count("label") == 1, "the other rating would give the label away"
    assert any("'Rating' → Rating_2" in note for note in guess.notes)
    assert guess.time_unit == "s"
    TableSource(**guess.spec_fields()).check()


@pytest.mark.fault("F47")
@pytest.mark.parametrize(
    ("header", "row", "wanted"),
    [
        ("userId,movieId,rating,timestamp", "1,31,2.5,1260759144", "user item label timestamp"),
        ("user_id,parent_asin,rating,timestamp", "AE2,B00,5.0,1588687728923", "user item label timestamp"),
        ("reviewerID,asin,overall,unixReviewTime", "A1,B00,5,1400000000", "user item label timestamp"),
        ("visitorid,itemid,event,timestamp", "257597,355908,view,1433221332117", "user item action timestamp"),
        ("customer_id,article_id,t_dat,price", "c1,108775,2018-09-20,0.05", "user item timestamp dense"),
        ("user,item,click,like,cart", "1,2,0,1,0", "user item label label label"),
        ("userid,itemid,split", "1,2,train", "user item category"),
        ("UserID,ItemID,genres,title", "1,2,a|b,One", "user item genres title"),
    ],
)
def test_names_that_people_use_are_known(tmp_path: Path, workspace: Path, header: str, row: str, wanted: str) -> None:
    guess = look(tmp_path, f"{header}\n" + f"{row}\n" * 3)
    assert " ".join(roles(guess).values()) == wanted
    assert guess.header


def test_a_column_of_sides_is_the_split(tmp_path: Path, workspace: Path) -> None:
    guess = look(tmp_path, "user,item,fold\n1,2,train\n1,3,test\n2,3,Valid\n")
    assert roles(guess)["fold"] == "split"


def test_without_a_header_values_and_places_tell_and_nothing_is_certain(tmp_path: Path, workspace: Path) -> None:
    guess = look(tmp_path, "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n", "u.data")
    assert (guess.header, guess.delimiter) == (False, "\t")
    assert list(roles(guess).values()) == ["user", "item", "label", "timestamp"]
    assert not any(c.certain for c in guess.columns if c.role in ("user", "item", "label"))


@pytest.mark.fault("F52")
@pytest.mark.parametrize(
    ("times", "unit", "asked"),
    [
        (["1700000000", "1600000000"], "s", None),
        (["1700000000000", "1600000000000"], "ms", None),
        (["1700000000000000"], "us", None),
        (["1700000000000000000"], "ns", None),
        (["2024-01-31", "2024-02-01T10:00:00Z"], "iso", None),
        (["2024-01-31 18:00:00"], "iso", None),
        (["1700000000", "1700000000000"], None, "mixes milliseconds and seconds"),
        (["1", "2", "3"], None, "too small for times since 1970"),
        (["03/04/2024", "05/04/2024"], None, "more than one way"),
        (["20240131", "20240201"], "%Y%m%d", None),
        (["200131", "200201"], None, "look like dates written as one number"),
        (["1700000000", "0"], None, "some are not"),
        (["1700000000"] * 20 + ["0"], "s", "not all times since 1970"),
        (["1700000000000"] * 20 + ["soon"], "ms", "not 'soon': such rows are set aside"),
        (["2024-01-31"] * 20 + ["soon"], "iso", "not 'soon'"),
    ],
)
def test_the_unit_of_times_is_told_or_asked(tmp_path: Path, workspace: Path, times: list[str], unit: str | None, asked: str | None) -> None:
    guess = look(tmp_path, "user,item,timestamp\n" + "".join(f"u,i,{time}\n" for time in times))
    assert guess.time_unit == unit
    assert (asked is None) == (guess.ambiguous is None)
    assert ("time_unit" in guess.unsure) == (asked is not None)
    assert asked is None or asked in str(guess.ambiguous)


@pytest.mark.fault("F46")
def test_cyrillic_and_chinese_are_asked_about(tmp_path: Path, workspace: Path) -> None:
    russian = "user,item,title\n" + "".join(f"u{k},i{k},Солярис и Сталкер Тарковского\n" for k in range(20))
    guess = look(tmp_path, russian.encode("cp1251"))
    assert (guess.encoding, guess.unsure) == ("cp1251", ("encoding",))
    chinese = "user,item,title\n" + "".join(f"u{k},i{k},英雄与活着和霸王别姬\n" for k in range(20))
    assert look(tmp_path, chinese.encode("gb18030")).encoding == "gb18030"


def test_a_wrong_ending_is_said_and_the_content_decides(tmp_path: Path, workspace: Path) -> None:
    pd.DataFrame({"user": ["a"], "item": ["b"]}).to_parquet(tmp_path / "table.csv")
    guess = inspect_table(str(tmp_path / "table.csv"))
    assert guess.format == "parquet"
    assert any("named like csv, but its content is Parquet" in note for note in guess.notes)
    assert "named like parquet, but its content is text" in look(tmp_path, "user,item\n1,2\n", "t.parquet").notes[0]


def test_what_a_person_says_is_not_guessed(tmp_path: Path, workspace: Path) -> None:
    content = "1;2,5;x\n3;4,5;y\n"
    assert look(tmp_path, content, delimiter=",").delimiter == ","
    guess = look(tmp_path, content, delimiter=";", header=True, encoding="cp1252")
    assert (guess.header, guess.encoding, len(guess.columns)) == (True, "cp1252", 3)
    assert guess.unsure == ()


def test_a_lone_column_and_nested_json_are_told(tmp_path: Path, workspace: Path) -> None:
    assert look(tmp_path, "hello\nworld\n").unsure[0] == "delimiter"
    line = json.dumps({"user": 1, "item": 2, "tags": ["a", "b"], "more": {"deep": 1}, "price": 1.50})
    guess = look(tmp_path, f"{line}\n" * 3, "t.jsonl")
    assert roles(guess) == {"user": "user", "item": "item", "tags": "tags", "more": "ignore", "price": "dense"}
    assert any("'more' holds objects" in note for note in guess.notes)


def test_parquet_types_are_told_and_users_and_items_tables_have_their_sides(tmp_path: Path, workspace: Path) -> None:
    frame = pd.DataFrame(
        {"item_id": [1, 2], "title": ["A", "B"], "genres": [["x", "y"], ["x"]], "released": pd.to_datetime(["2020-01-01"] * 2)}
    )
    frame.to_parquet(tmp_path / "items.parquet")
    guess = inspect_table(str(tmp_path / "items.parquet"), table="items")
    assert roles(guess) == {"item_id": "item", "title": "title", "genres": "genres", "released": "ignore"}
    assert {column.side for column in guess.columns if column.role != "ignore"} == {"item"}
    assert guess.head[0] == ["1", "A", "x|y", "2020-01-01 00:00:00.000000"]


def test_weights_that_are_rather_counts_are_an_uncertain_guess(tmp_path: Path, workspace: Path) -> None:
    """The column is called weight in the public file, and holds how often an artist was played."""
    for most, certain in ((13_901, False), (90, True)):
        path = tmp_path / f"{most}.csv"
        path.write_text("\n".join(["user_id,item_id,weight", f"u0,i0,{most}", *(f"u{n % 7},i{n},{1 + n % 20}" for n in range(1, 200))]))
        guessed = {column.name: column for column in inspect_table(str(path)).columns}["weight"]
        assert (guessed.role, guessed.certain) == ("weight", certain)
        assert ("plays" in guessed.why) != certain
