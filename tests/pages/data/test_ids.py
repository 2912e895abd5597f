"""Ids that two tables write differently: the page says so, and offers to read them as one."""

from pathlib import Path

from tests.pages.reading import Says, Visit, plainly
from tests.workspace import Workspace


def test_ids_with_a_point_are_offered_to_be_read_without(empty: Workspace, drivers: None, visit: Visit, says: Says, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("\n".join(["user_id,item_id", *(f"{12_346 + n % 70}.0,i{n % 31}" for n in range(700))]))
    (tmp_path / "users.csv").write_text("\n".join(["user_id,segment", *(f"{12_346 + n},{'AB'[n % 2]}" for n in range(70))]))
    at = visit("data", view="new", source="table")
    at.text_input("data.table.source.path").set_value(str(tmp_path / "orders.csv")).run()
    next(one for one in at.text_input if (one.key or "").endswith(".users.path")).set_value(str(tmp_path / "users.csv")).run()
    assert not at.exception
    assert "0 of 70 users of the interactions are in the users table (12346.0 against 12346)" in plainly(says(at))
    next(one for one in at.toggle if one.label == "Read ids such as 12346.0 as 12346").set_value(True).run()
    assert not at.exception
    assert "users of the interactions are in" not in plainly(says(at))
