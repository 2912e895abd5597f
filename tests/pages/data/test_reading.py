"""How a stranger's table is read: what the page proposes, asks and offers."""

from pathlib import Path

from tests.pages.data.test_tables import bring, select, specs
from tests.pages.reading import Says, Visit, button
from tests.workspace import Workspace


def test_a_list_of_pairs_with_blanks_is_read_and_its_lines_may_be_the_time(
    empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path
) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("".join(f"{n % 30} {500 + n * 7 % 97}\n" for n in range(600)))
    at = bring(visit, str(path))
    assert select(at, "Delimiter").value == " "
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
