"""Names, notes, tags, the pin and the trash on the Runs page, and what Compare says of a run that was thrown away."""

import re

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import store
from tests.pages.reading import Says, Visit, button, foreign_markup, labelled, links, plainly, ticked
from tests.records import HOSTILE
from tests.workspace import Workspace

NOTE = f"{HOSTILE}\nsecond line"


def labels(at: AppTest) -> list[str]:
    return [b.label for b in at.button]


def listed() -> set[str]:
    return {run.run_id for run in engine.runs.list_runs()}


def test_a_run_is_named_annotated_and_tagged(own: Workspace, visit: Visit, says: Says) -> None:
    run_id = own.runs["dlrm"]
    at = visit("runs", run=run_id)
    at.text_input(f"keep.name.{run_id}").set_value(HOSTILE)
    at.text_area(f"keep.note.{run_id}").set_value(NOTE)
    at.multiselect(f"keep.tags.{run_id}").set_value([HOSTILE[:40]])
    button(at, "Save").click().run()
    assert not at.exception
    found = own.run("dlrm")
    assert (found.title, found.note, found.tags) == (HOSTILE, NOTE, (HOSTILE[:40].strip(),))
    at = visit("runs", run=run_id)
    assert "second line" in says(at)
    assert "Tags" in at.dataframe[0].value
    assert not foreign_markup(at)


def test_only_what_was_changed_is_written(own: Workspace, visit: Visit) -> None:
    at = visit("runs", run=own.runs["dlrm"])
    before = stored(own)
    button(at, "Save").click().run()
    assert not at.exception and not at.error
    assert stored(own) == before


def stored(workspace: Workspace) -> list[bytes]:
    """The files of the store, its log of writes among them."""
    return [(workspace.folder / name).read_bytes() for name in ("mlflow.db", "mlflow.db-wal")]


def test_a_comparison_tells_the_new_name(own: Workspace, visit: Visit, says: Says) -> None:
    visit("compare", runs=own.ids("two_tower", "dlrm"))
    engine.runs.rename(own.runs["two_tower"], "Renamed")
    assert "Renamed" in says(visit("compare", runs=own.ids("two_tower", "dlrm")))


def test_a_refusal_is_a_sentence(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("runs", run=own.runs["dlrm"])
    at.text_input(f"keep.name.{own.runs['dlrm']}").set_value(" ")
    button(at, "Save").click().run()
    assert "The name is empty" in plainly(says(at))


def test_what_is_thrown_away_leaves_the_list_and_comes_back_with_undo(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("runs", run=own.runs["dlrm"])
    button(at, "Move to trash").click().run()
    assert not at.exception
    assert len(at.dataframe[0].value) == len(own.runs) - 1
    assert [t.value for t in at.toast] == ["Moved the run to the trash"]
    assert "run" not in at.query_params
    assert "moved to the trash" in says(at)
    button(at, "Undo").click().run()
    assert len(at.dataframe[0].value) == len(own.runs)
    assert [t.value for t in at.toast] == ["Restored"]
    assert "Undo" not in labels(at)


def test_who_looks_at_another_run_is_not_offered_the_way_back_any_more(own: Workspace, visit: Visit) -> None:
    at = visit("runs", run=own.runs["dlrm"])
    button(at, "Move to trash").click().run()
    assert "Undo" in labels(at)
    at.query_params["run"] = own.runs["ease"]
    at.run()
    assert "Undo" not in labels(at)


def test_the_trash_is_there_when_nothing_else_is(own: Workspace, visit: Visit) -> None:
    left = own.only("dlrm")
    engine.runs.rename(left.runs["dlrm"], HOSTILE)
    engine.runs.trash([left.runs["dlrm"]])
    at = visit("runs")
    assert [e.label for e in at.expander] == ["Trash (1)"]
    assert not foreign_markup(at)
    button(at, "Restore").click().run()
    assert [r.trashed_at for r in engine.runs.list_runs()] == [None]


def test_who_must_stay_is_told_why(own: Workspace, visit: Visit, says: Says) -> None:
    engine.runs.pin(own.runs["dlrm"])
    for name, why in (("running", "it is running: cancel it first"), ("dlrm", "it is the pinned baseline of its dataset")):
        at = visit("runs", run=own.runs[name])
        assert why in plainly(says(at))
        assert "Move to trash" not in labels(at)


def test_several_are_moved_at_once_and_the_pinned_one_stays(own: Workspace, visit: Visit, says: Says) -> None:
    left = own.only("two_tower", "dlrm", "ease", "running")
    engine.runs.pin(left.runs["two_tower"])
    at = ticked(visit("runs"), left, *left.runs)
    assert "it is the pinned baseline of its dataset" in plainly(says(at)) and "it is running: cancel it first" in plainly(says(at))
    button(at, "Move 2 to trash").click().run()
    assert not at.exception
    assert listed() == {left.runs["two_tower"], left.runs["running"]}
    button(at, "Undo").click().run()
    assert listed() == {*left.runs.values()}


def test_one_that_was_pinned_meanwhile_is_kept_and_told(own: Workspace, visit: Visit) -> None:
    at = visit("runs", run=own.runs["dlrm"])
    engine.runs.pin(own.runs["dlrm"])  # in another tab
    button(at, "Move to trash").click().run()
    assert not at.exception
    assert own.run("dlrm").trashed_at is None
    assert [t.value for t in at.toast] == []


def test_runs_that_need_it_are_named_before(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    more = engine.runs.submit(engine.runs.continued(own.runs["deepfm"], 1))
    engine.runs.rename(more, f"{HOSTILE} more")
    at = visit("runs", run=own.runs["deepfm"])
    assert "it continues that run, or uses it in a funnel" in says(at)
    assert not foreign_markup(at)
    assert "it continues that run" in says(visit("runs", run=own.runs["dlrm"]))  # the funnel's ranker
    assert "it continues that run" not in says(visit("runs", run=own.runs["ease"]))


def test_a_pinned_run_is_what_differences_are_against(own: Workspace, visit: Visit) -> None:
    ranker, both = own.runs["dlrm"], own.ids("two_tower", "dlrm")
    button(visit("runs", run=ranker), "Pin as baseline").click().run()
    assert own.run("dlrm").pinned
    at = visit("compare", runs=both)
    box = labelled(at.selectbox, "Differences against")
    assert (box.value, "baseline" in at.query_params) == (ranker, False)
    assert box.options[-1] == "B · DLRM · pinned"
    box.set_value("popularity").run()
    assert at.query_params["baseline"] == "popularity"
    at = visit("compare", runs=own.ids("two_tower"))
    assert labelled(at.selectbox, "Differences against").value == "popularity"
    assert f"Add the pinned {own.run('dlrm').title}" in [plainly(label) for label in links(at)]
    button(visit("runs", run=ranker), "Unpin").click().run()
    assert not own.run("dlrm").pinned


@pytest.mark.fault("F63")
@pytest.mark.parametrize("page", ["compare", "runs"])
def test_a_trashed_run_in_an_address_says_so(own: Workspace, visit: Visit, says: Says, page: str) -> None:
    engine.runs.rename(own.runs["two_tower"], HOSTILE)
    engine.runs.trash([own.runs["two_tower"]])
    at = visit(page, **{"compare": {"runs": own.ids("two_tower", "dlrm")}, "runs": {"run": own.runs["two_tower"]}}[page])
    assert re.search(r"was moved to the trash .*, so it is not shown", says(at))
    assert "There is no" not in says(at)
    assert not foreign_markup(at)


def test_a_comparison_of_trashed_runs_alone_says_so(own: Workspace, visit: Visit, says: Says) -> None:
    left = own.only("two_tower", "dlrm")
    engine.runs.trash([left.runs["two_tower"]])
    assert "was moved to the trash" in says(visit("compare", runs=left.runs["two_tower"] + ",made-up"))
    engine.runs.trash([left.runs["dlrm"]])
    assert "was moved to the trash" in says(visit("compare", runs=left.runs["two_tower"]))


def test_a_run_of_somebody_else_is_shown_with_its_owner_and_thrown_away_only_after_a_tick(own: Workspace, visit: Visit, says: Says) -> None:
    run_id = own.runs["dlrm"]
    store.set_tag(run_id, "user", HOSTILE[:40])
    at = visit("runs", run=run_id)
    assert HOSTILE[:20] in " ".join(at.dataframe[0].value["Owner"])
    assert "It belongs to" in says(at) and not foreign_markup(at)
    assert not [b for b in at.button if b.key == f"throw.{run_id}"]
    at.checkbox(f"throw.force.{run_id}").check().run()
    at.button(f"throw.{run_id}").click().run()
    assert not at.exception
    assert run_id not in listed()
