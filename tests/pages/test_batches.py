"""Exports of lists on the Recommend page: what is asked for, what is refused, progress, and the files."""

from pathlib import Path

import engine
from engine.runs.read import RunState
from tests.pages.fake import DATASET, HOSTILE, run
from ui.shared import words

FACTS = {"k": 5, "rows": 195, "users": 40, "without_items": 1, "unknown_to_train": 0, "exclude_seen": True}


def page(visit, **query):
    return visit("recommend", runs="a,d", user="3", **query)


def test_the_chosen_contender_is_exported_once_for_all_users(trained, visit, says):
    at = page(visit)
    at.selectbox(key="batches.run").set_value("d").run()
    at.number_input(key="batches.k").set_value(25).run()
    at.button(key="batches.start").click().run()
    assert not at.exception
    assert trained.exported == [("d", 25, "all", True)]
    assert "Top 25 of it" in says(at)
    assert "Running 42" in str([p.proto.text for p in at.get("progress")])
    at.button(key="cancel.x1").click().run()
    assert trained.cancelled == ["x1"]


def test_chosen_users_are_read_and_nobody_cannot_be_exported_for(trained, visit, says):
    at = page(visit)
    at.segmented_control(key="batches.whom").set_value("chosen").run()
    assert at.button(key="batches.start").disabled
    at.text_area(key="batches.ids").set_value("3\n\n17\n").run()
    assert "2 lines of ids" in says(at)
    at.toggle(key="batches.exclude.a").set_value(False).run()
    at.button(key="batches.start").click().run()
    assert trained.exported == [("a", 10, ["3", "17"], False)]


def test_a_refusal_is_told_as_text(trained, visit):
    at = page(visit)
    trained.refuses = LookupError(f"1 of 2 users are not in it: {HOSTILE}")
    at.button(key="batches.start").click().run()
    assert not at.exception
    assert "1 of 2 users are not in it" in at.error[0].value
    assert words.md(HOSTILE) in at.error[0].value


def test_past_exports_stand_there_with_their_files(trained, visit, says, tmp_path, monkeypatch):
    for name in ("top.parquet", "top.csv"):
        (tmp_path / name).write_bytes(b"x" * 2000)
    done = run("e1", None, kind="export", title=f"Top 5 of {HOSTILE}", dataset=DATASET)
    failed = run("e2", None, RunState.FAILED, kind="export", title="Top 9", message="No space left. " + HOSTILE)
    paths = (tmp_path / "top.parquet", tmp_path / "top.csv")
    trained.exports = [
        engine.runs.ListExport(done, "a", "it", tmp_path, FACTS, paths),
        engine.runs.ListExport(failed, "a", "it", Path("/nowhere"), {}, ()),
        engine.runs.ListExport(run("e3", None, kind="export", title="Of another"), "zz", "it", Path("/nowhere"), {}, ()),
    ]
    at = page(visit)
    told = says(at)
    assert "195 rows for 40 users, 1 of them have seen every item and have no rows, items seen in training excluded." in told
    assert "No space left" in told and "Of another" not in told and "<img" not in told.replace("\\<", "")
    assert str(tmp_path) in [one.value for one in at.code]
    assert len(at.get("download_button")) == 2
    monkeypatch.setattr("ui.runs.list_exports.BIGGEST", 1000)
    at = page(visit)
    assert not at.get("download_button")
    assert f"top.csv has {words.size(2000)}: copy it from the folder." in says(at)


def test_the_runs_page_shows_an_export_and_offers_no_comparison(trained, visit, says):
    done = run("e1", None, kind="export", title="Top 5", dataset=DATASET)
    trained.runs.insert(0, done)
    trained.exports = [engine.runs.ListExport(done, "a", "it", Path("/gone"), {}, ())]
    told = says(visit("runs", run="e1"))
    assert "Its folder no longer exists." in told
    assert "Recommend" not in told.split("Top 5")[-1]
