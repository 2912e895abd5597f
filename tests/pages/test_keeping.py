"""Names, notes, tags, the pin and the trash on the Runs page, and what Compare says of a run that was thrown away."""

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.runs.read import RunState
from tests.pages.fake import HOSTILE, NOW, FakeEngine, run
from tests.pages.test_pages import Says, Visit, button, foreign_markup, links


def labels(at: AppTest) -> list[str]:
    return [b.label for b in at.button]


def test_a_run_is_named_annotated_and_tagged(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("runs", run="a")
    at.text_input("keep.name.a").set_value(HOSTILE)
    at.text_area("keep.note.a").set_value(f"{HOSTILE}\nsecond line")
    at.multiselect("keep.tags.a").set_value([HOSTILE[:40]])
    button(at, "Save").click().run()
    assert not at.exception
    found = trained.get_run("a")
    assert (found.title, found.note, found.tags) == (HOSTILE, f"{HOSTILE}\nsecond line", (HOSTILE[:40],))
    at = visit("runs", run="a")
    assert "second line" in says(at)
    assert "Tags" in at.dataframe[0].value
    assert not foreign_markup(at)


def test_only_what_was_changed_is_written(trained: FakeEngine, visit: Visit) -> None:
    before = list(trained.runs)
    trained.refuses = ValueError("Nothing should be written.")
    at = visit("runs", run="a")
    button(at, "Save").click().run()
    assert not at.error
    assert trained.runs == before


def test_a_comparison_tells_the_new_name(trained: FakeEngine, visit: Visit, says: Says) -> None:
    visit("compare", runs="a,d")
    trained.rename("a", "Renamed")
    assert "Renamed" in says(visit("compare", runs="a,d"))


def test_a_refusal_is_a_sentence(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("runs", run="a")
    trained.refuses = ValueError("The name is empty; give 1 to 120 characters.")
    at.text_input("keep.name.a").set_value(" ")
    button(at, "Save").click().run()
    assert "The name is empty" in says(at).replace("\\", "")


def test_what_is_thrown_away_leaves_the_list_and_comes_back_with_undo(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("runs", run="a")
    button(at, "Move to trash").click().run()
    assert not at.exception
    assert len(at.dataframe[0].value) == 1
    assert [t.value for t in at.toast] == ["Moved the run to the trash"]
    assert "run" not in at.query_params
    assert "moved to the trash" in says(at)
    button(at, "Undo").click().run()
    assert len(at.dataframe[0].value) == 2
    assert [t.value for t in at.toast] == ["Restored"]
    assert "Undo" not in labels(at)


def test_who_looks_at_another_run_is_not_offered_the_way_back_any_more(trained: FakeEngine, visit: Visit) -> None:
    at = visit("runs", run="a")
    button(at, "Move to trash").click().run()
    assert "Undo" in labels(at)
    at.query_params["run"] = "d"
    at.run()
    assert "Undo" not in labels(at)


def test_the_trash_is_there_when_nothing_else_is(trained: FakeEngine, visit: Visit) -> None:
    trained.runs = [run("a", trashed_at=NOW, title=HOSTILE)]
    at = visit("runs")
    assert [e.label for e in at.expander] == ["Trash (1)"]
    assert not foreign_markup(at)
    button(at, "Restore").click().run()
    assert [r.trashed_at for r in trained.runs] == [None]


@pytest.mark.parametrize(
    "changes, why",
    [({"state": RunState.RUNNING}, "it is running: cancel it first"), ({"pinned": True}, "it is the pinned baseline of its dataset")],
)
def test_who_must_stay_is_told_why(trained: FakeEngine, visit: Visit, says: Says, changes: Any, why: str) -> None:
    trained.runs[0] = run("a", **changes)
    at = visit("runs", run="a")
    assert why in says(at).replace("\\", "")
    assert "Move to trash" not in labels(at)


def test_several_are_moved_at_once_and_the_pinned_one_is_no_choice(trained: FakeEngine, visit: Visit) -> None:
    trained.runs = [run("a", pinned=True), run("d", "dlrm"), run("e", "ease"), run("live", state=RunState.RUNNING)]
    at = visit("runs")
    several = at.multiselect("keeping.several")
    assert len(several.options) == 2
    several.set_value(["d", "e"]).run()
    button(at, "Move 2 to trash").click().run()
    assert not at.exception
    assert [r.run_id for r in trained.list_runs()] == ["a", "live"]
    button(at, "Undo").click().run()
    assert len(trained.list_runs()) == 4


def test_one_that_was_pinned_meanwhile_is_kept_and_told(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("runs", run="a")
    trained.pin("a")  # in another tab
    button(at, "Move to trash").click().run()
    assert not at.exception
    assert trained.get_run("a").trashed_at is None
    assert [t.value for t in at.toast] == []


def test_runs_that_need_it_are_named_before(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.append(run("c", spec=trained.runs[0].spec | {"continues": "a"}, title=f"{HOSTILE} more"))
    at = visit("runs", run="a")
    assert "it continues that run, or uses it in a funnel" in says(at)
    assert not foreign_markup(at)
    assert "goes on from it" not in says(visit("runs", run="d"))


def test_a_pinned_run_is_what_differences_are_against(trained: FakeEngine, visit: Visit) -> None:
    button(visit("runs", run="d"), "Pin as baseline").click().run()
    assert trained.get_run("d").pinned
    at = visit("compare", runs="a,d")
    box = next(b for b in at.selectbox if b.label == "Differences against")
    assert (box.value, "baseline" in at.query_params) == ("d", False)
    assert box.options[-1] == "B · DLRM · pinned"
    box.set_value("popularity").run()
    assert at.query_params["baseline"] == "popularity"
    at = visit("compare", runs="a")
    assert next(b for b in at.selectbox if b.label == "Differences against").value == "popularity"
    assert "Add the pinned DLRM · history · dim 16" in [label.replace("\\", "") for label in links(at)]
    button(visit("runs", run="d"), "Unpin").click().run()
    assert not trained.get_run("d").pinned


@pytest.mark.parametrize("page", ["compare", "runs"])
def test_a_trashed_run_in_an_address_says_so(trained: FakeEngine, visit: Visit, says: Says, page: str) -> None:
    trained.runs[0] = run("a", trashed_at=NOW, title=HOSTILE)
    at = visit(page, **{"compare": {"runs": "a,d"}, "runs": {"run": "a"}}[page])
    assert re.search(r"was moved to the trash .*, so it is not shown", says(at))
    assert "There is no" not in says(at)
    assert not foreign_markup(at)


def test_a_comparison_of_trashed_runs_alone_says_so(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs = [run("a", trashed_at=NOW)]
    assert "was moved to the trash" in says(visit("compare", runs="a"))
    trained.runs.append(run("d", "dlrm"))
    assert "was moved to the trash" in says(visit("compare", runs="a,made-up"))
