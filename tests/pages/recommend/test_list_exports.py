"""Exports of lists on the Recommend page: what is asked for, what is refused, progress, and the files."""

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import RunState, store
from tests import workspace
from tests.pages.reading import Says, Visit, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.runs import list_exports
from ui.shared import words
from workers.exports import CHOSEN, ListExportSpec
from workers.run import Journal

FACTS = {"k": 5, "rows": 195, "users": 40, "without_items": 1, "unknown_to_train": 0, "exclude_seen": True}


def page(visit: Visit, found: Workspace) -> AppTest:
    return visit("recommend", runs=found.ids("ease", "dlrm"), user="3")


def asked(own: Workspace) -> ListExportSpec:
    """The one export that was asked for."""
    (run,) = own.launched()
    return ListExportSpec.model_validate(run.settings)


def test_the_chosen_contender_is_exported_once_for_all_users(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = page(visit, own)
    at.selectbox(key="batches.run").set_value(own.runs["dlrm"]).run()
    at.number_input(key="batches.k").set_value(25).run()
    at.button(key="batches.start").click().run()
    assert not at.exception
    spec = asked(own)
    assert (spec.run, spec.k, spec.users, spec.exclude_seen) == (own.runs["dlrm"], 25, "all", True)
    run = own.launched()[0]
    assert run.title in plainly(says(at))
    store.set_status(run.run_id, "RUNNING")
    Journal(own.folder / "runs" / run.run_id).progress("writing", 42, 100, force=True)
    at.run()
    assert "Running 42" in str([p.proto.text for p in at.get("progress")])
    at.button(key=f"cancel.{run.run_id}").click().run()
    assert engine.runs.get_run(run.run_id).state == RunState.CANCELLING


def test_chosen_users_are_read_and_nobody_cannot_be_exported_for(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = page(visit, own)
    at.segmented_control(key="batches.whom").set_value("chosen").run()
    assert at.button(key="batches.start").disabled
    at.text_area(key="batches.ids").set_value("3\n\n17\n").run()
    assert "2 lines of ids" in says(at)
    at.toggle(key=f"batches.exclude.{own.runs['ease']}").set_value(False).run()
    at.button(key="batches.start").click().run()
    spec = asked(own)
    assert (spec.run, spec.k, spec.users, spec.exclude_seen) == (own.runs["ease"], 10, "chosen", False)
    assert (own.folder / "runs" / own.launched()[0].run_id / CHOSEN).read_text().split() == ["3", "17"]


def test_a_refusal_is_told_as_text(own: Workspace, drivers: None, visit: Visit) -> None:
    at = page(visit, own)
    at.segmented_control(key="batches.whom").set_value("chosen").run()
    at.text_area(key="batches.ids").set_value(f"3\n{HOSTILE[:36]}").run()
    at.button(key="batches.start").click().run()
    assert not at.exception
    assert "1 of 2 users are not in" in at.error[0].value
    assert words.md(HOSTILE[:36]) in at.error[0].value
    assert own.launched() == []


def test_past_exports_stand_there_with_their_files(own: Workspace, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, title in (("dlrm", "It"), ("item_knn", "Another")):
        run_id, folder = workspace.create(ListExportSpec(run=own.runs[name], title=title, dataset=own.films))
        workspace.end(run_id, folder, "FAILED", f"No space left. {HOSTILE}")
    (done,) = engine.runs.list_exports([own.runs["ease"]])
    assert done.facts["rows"] == len(engine.datasets.search_users(own.films)) * 5
    at = page(visit, own)
    told = says(at)
    assert list_exports.summary(done.facts) in told
    assert "No space left" in told and "Another" not in told and "<img" not in told.replace("\\<", "")
    assert str(done.folder) in [one.value for one in at.code]
    assert len(at.get("download_button")) == 2
    monkeypatch.setattr("ui.runs.list_exports.BIGGEST", 10)
    at = page(visit, own)
    assert not at.get("download_button")
    assert f"top.csv has {words.size(done.files[1].stat().st_size)}: copy it from the folder." in says(at)


def test_what_was_written_is_said_with_who_has_no_row() -> None:
    assert list_exports.summary(FACTS) == (
        "195 rows for 40 users, 1 of them have seen every item and have no rows, items seen before excluded."
    )


def test_the_runs_page_shows_an_export_and_offers_no_comparison(own: Workspace, visit: Visit, says: Says) -> None:
    (done,) = engine.runs.list_exports([own.runs["ease"]])
    done.folder.rename(own.folder / "moved")
    told = says(visit("runs", run=own.runs["export"]))
    assert "Its folder no longer exists." in told
    assert "Recommend" not in told.split(own.run("export").title)[-1]
