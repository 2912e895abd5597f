"""How a stranger's table is read: what the page proposes, asks and offers."""

from pathlib import Path

from tests.pages.data.test_questions import choose
from tests.pages.data.test_tables import bring, select, specs
from tests.pages.reading import Says, Visit, button, plainly
from tests.workspace import Workspace


def test_a_list_of_pairs_with_blanks_is_read_and_its_lines_may_be_the_time(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"{n % 30} {500 + n * 7 % 97}\n" for n in range(600)))
    at = bring(visit, str(path))
    assert select(at, "Delimiter").value == " "
    choose(at, "columns are taken by their place", "Yes")
    assert "600 rows read" in says(at)
    next(one for one in at.toggle if one.label == "Rows are in order of time").set_value(True).run()
    assert not at.exception
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert (spec.source.delimiter, spec.source.time_unit, spec.source.reading().time) == (" ", "lines", "order")


def test_backslashes_are_proposed_and_may_be_refused(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    rows = "".join(f'"u{n % 30}";"i{n % 17}";"The \\"{n % 9}\\"; again"\n' for n in range(300))
    path.write_text(f'"user";"item";"title"\n{rows}')
    at = bring(visit, str(path))
    assert select(at, "Backslash").value == "backslash"
    assert "300 rows read" in says(at)
    select(at, "Backslash").set_value("none").run()
    assert not at.exception
    assert button(at, "Prepare").disabled


def test_an_id_that_may_be_missing_is_asked_about_and_its_rows_are_set_aside(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path
) -> None:
    path = tmp_path / "views.csv"
    rows = "".join(
        f"{n % 50};{'NA' if n % 3 else n % 30};{n % 17};{'3,5' if n % 2 else '4'};{-1 if n % 9 == 0 else n % 60}\n" for n in range(600)
    )
    path.write_text(f"sessionId;userId;itemId;rating;age\n{rows}")
    at = bring(visit, str(path))
    warned = "".join(warning.value for warning in at.warning)
    assert "'NA' in 400 of the first 600 rows" in plainly(warned)
    assert "sessionId has a value in every row" in plainly(warned)
    assert button(at, "Prepare").disabled
    choose(at, "userId is NA in 400 of the first 600 rows", "Keep userId")
    assert button(at, "Prepare").disabled
    select(at, "Missing in userId").set_value("missing").run()
    assert not at.exception
    assert "600 rows read" in says(at)
    assert "no user id" in says(at)
    ages = next(box for box in at.multiselect if box.label == "Missing in age")
    assert ages.options == ["-1 · 67 of 600 rows"]
    ages.set_value(["-1"]).run()
    assert not at.exception
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    columns = {column.name: column for column in spec.source.columns}
    assert (columns["userId"].missing, columns["age"].missing) == (("NA",), ("-1",))
    assert columns["rating"].numbers == "decimal_comma"


def test_numbers_that_may_be_read_in_two_ways_are_asked_about(empty: Workspace, drivers: None, visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "plays.csv"
    rows = "".join(f'u{n % 30},i{n % 17},"{1 + n % 5},{n:03d}"\n' for n in range(300))
    path.write_text(f"user,item,rating\n{rows}")
    at = bring(visit, str(path))
    assert "may be" in "".join(warning.value for warning in at.warning)
    assert button(at, "Prepare").disabled
    select(at, "Numbers in rating").set_value("thousands").run()
    assert not at.exception
    button(at, "Prepare").click().run()
    assert next(column for column in specs(empty)[0].source.columns if column.role == "label").numbers == "thousands"


def test_impressions_in_one_cell_get_a_row_each(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    path = tmp_path / "behaviors.tsv"
    shown = [" ".join(f"N{(n * 7 + k) % 40}-{int(k == n % 4)}" for k in range(4)) for n in range(150)]
    path.write_text("".join(f"{n}\tU{n % 25}\t11/{13 + n % 15}/2019 9:05:58 AM\tN1 N2\t{cell}\n" for n, cell in enumerate(shown)))
    at = bring(visit, str(path))
    choose(at, "columns are taken by their place", "Yes")
    said = plainly(says(at))
    assert "column_5 holds lists of item-label" in said
    assert "600 rows read" in said
    assert any(one.label == "One row for each item in column\\_5" and one.value for one in at.toggle)
    button(at, "Prepare").click().run()
    (spec,) = specs(empty)
    assert spec.source.first("item").listed == "pairs"
    assert spec.label.kind == "given"
