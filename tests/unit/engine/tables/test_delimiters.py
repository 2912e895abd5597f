"""How lines are cut: at blanks, with backslashes, and where commas belong to numbers."""

from pathlib import Path

import pytest

from engine.sources.table import TableSource
from engine.tables.guess import TableGuess
from engine.tables.inspect import inspect_table
from tests.messy import mapping


@pytest.fixture(autouse=True)
def _own_workspace(workspace: Path) -> None:
    """Tables in the temporary folder may be read."""


def look(folder: Path, content: str, name: str = "t.txt") -> TableGuess:
    (folder / name).write_text(content)
    return inspect_table(str(folder / name))


@pytest.mark.parametrize(
    "content",
    [
        "1 6401\n1 13511\n1 14090\n2 6401\n2 911\n",
        "  1   6401\n 1 13511\n 1\t14090\n2 \t 6401  \n2 911\n",
        "u1 6401\nu1 13511\nu1 14090\nu2 6401\nu2 911",
    ],
)
def test_runs_of_blanks_separate_values(tmp_path: Path, content: str) -> None:
    guess = look(tmp_path, content)
    assert (guess.delimiter, guess.header) == (" ", False)
    assert {"delimiter", "header"}.isdisjoint(guess.unsure)
    assert [column.role for column in guess.columns] == ["user", "item"]
    source = TableSource(**(guess.spec_fields() | {"time_unit": "lines"}))
    frame = source.frame()
    assert frame["problem"].isna().all()
    assert (len(frame), frame["user_id"].nunique(), frame["item_id"].nunique()) == (5, 2, 4)
    assert source.reading().time == "order"


def test_a_blank_typed_as_the_delimiter_reads_quotes_too(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text('user item title\nu1  i1 "Toy  Story"\nu2\ti2 Heat\n\t\nu3 i3\n')
    roles = mapping(("user", "item", "title"), ("user", "item", "title"))
    frame = TableSource(path=str(tmp_path / "t.txt"), delimiter=" ", columns=roles).frame()
    assert frame["title"].iloc[:2].tolist() == ["Toy  Story", "Heat"]
    assert frame["problem"].tolist() == [None, None, "2 fields instead of 3"]
    with pytest.raises(ValueError, match="needs a delimiter that is no blank"):
        TableSource(path="t", delimiter=" ", quoting="lines", columns=roles)


def test_words_of_a_text_are_asked_about_and_lists_are_named_with_the_conversion(tmp_path: Path) -> None:
    assert "delimiter" in look(tmp_path, "red car\nold house\nbig tree\n").unsure
    lists = look(tmp_path, "0 4 5 6\n1 7\n2 8 9 1 3 4\n3 1 2\n")
    assert "delimiter" in lists.unsure
    assert any("awk" in note for note in lists.notes)


@pytest.mark.parametrize(
    ("content", "delimiter", "certain"),
    [
        ("user;price\nu1;3,5\nu2;4,25\n", ";", True),
        ("user\tprice\nu1\t3,5\nu2\t4,25\n", "\t", True),
        ("user;votes\nu1;1,234\nu2;4,250\n", ";", True),
        ("1 2 3,5\n4 5 4,0\n", " ", False),
        ("user,at\nu1,2019-10-01 00:00:00 UTC\nu2,2019-10-02 00:00:00 UTC\n", ",", True),
    ],
)
def test_commas_within_numbers_are_no_delimiter(tmp_path: Path, content: str, delimiter: str, certain: bool) -> None:
    guess = look(tmp_path, content)
    assert (guess.delimiter, "delimiter" not in guess.unsure) == (delimiter, certain)


BOOKS = '"ISBN";"Book-Title";"Publisher"\n"0001";"Plain";"Haus"\n"0002";"Peter Pan: The \\"Lost\\" Boys";"Haus"\n"0003";"A; B";"Haus"\n'


def test_a_backslash_before_a_quote_is_an_escape(tmp_path: Path) -> None:
    guess = look(tmp_path, BOOKS)
    assert (guess.delimiter, guess.quoting, guess.escape, guess.header) == (";", "quotes", "backslash", True)
    assert {"delimiter", "quoting", "escape"}.isdisjoint(guess.unsure)
    assert [row[1] for row in guess.head] == ["Plain", 'Peter Pan: The "Lost" Boys', "A; B"]
    columns = mapping(("ISBN", "Book-Title"), ("item", "title"))
    frame = TableSource(**(guess.spec_fields() | {"columns": columns})).frame()
    assert frame["title"].tolist() == ["Plain", 'Peter Pan: The "Lost" Boys', "A; B"]


def test_backslashes_of_mysql_are_read(tmp_path: Path) -> None:
    guess = look(tmp_path, "u1\ti1\t5\ta\\\tb\nu2\t\\N\t4\tC:\\\\x\\ny\nu3\ti3\t\\N\tplain\n")
    assert (guess.delimiter, guess.escape) == ("\t", "backslash")
    names = tuple(f"column_{k}" for k in range(1, 5))
    fields = guess.spec_fields() | {"columns": mapping(names, ("user", "item", "label", "title"))}
    frame = TableSource(**fields).frame()
    assert frame["item_id"].tolist() == ["i1", None, "i3"]
    assert frame["rating"].tolist() == ["5", "4", None]
    assert frame["title"].tolist() == ["a\tb", "C:\\x\ny", "plain"]


def test_escaped_quotes_and_line_breaks_in_quotes_go_together(tmp_path: Path) -> None:
    content = 'user,item,title\nu1,i1,"a \\"b\\",\nc"\n' + "".join(f'u{k},i{k},"t {k}"\n' for k in range(30))
    (tmp_path / "t.csv").write_text(content)
    roles = mapping(("user", "item", "title"), ("user", "item", "title"))
    frame = TableSource(path=str(tmp_path / "t.csv"), quoting="lines", escape="backslash", columns=roles).frame()
    assert frame["title"].iloc[0] == 'a "b",\nc'
    assert (len(frame), frame["problem"].isna().all()) == (31, True)


def test_a_backslash_that_ends_a_path_is_no_escape(tmp_path: Path) -> None:
    guess = look(tmp_path, 'user,item,folder\nu1,i1,"C:\\"\nu2,i2,"D:\\x\\"\n')
    assert guess.escape == "none"
    assert guess.head[0][2] == "C:\\"
