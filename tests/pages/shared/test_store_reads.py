"""What pages read: each ended run once per drawing, what others write in the next one, and no source before it is chosen."""

from unittest.mock import patch

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import store
from tests import tiny
from tests.bench.pages import counted_reads
from tests.pages.reading import opened
from workers.run import RunSpec

CONTENDERS = 8


@pytest.fixture
def finished(workspace) -> list[str]:
    """The ids of finished runs on one prepared dataset, as a driver leaves them in the store."""
    folder = engine.settings.settings().datasets / "tiny-0123456789ab"
    tiny.write(tiny.groups(), folder)
    ids = []
    for at in range(CONTENDERS):
        spec = RunSpec.model_validate({"dataset": folder.name, "model": {"kind": "two_tower", "embedding_dim": 8 * (at + 1)}})
        ids.append(store.create("train", f"Contender {at}", spec, {"dataset": folder.name, "model": "two_tower"}))
        store.log_final(ids[-1], {"test_ndcg_at_10": 0.1 + at / 100, "test_auc": 0.7, "users": 60})
        store.set_status(ids[-1], "FINISHED")
        (engine.settings.settings().runs / ids[-1]).mkdir(parents=True)
    return ids


def again(at: AppTest) -> AppTest:
    at.run()
    assert not at.exception, at.exception
    return at


def test_a_page_asks_for_an_ended_run_once(finished):
    at = opened("compare", runs=",".join(finished))
    assert any("0.17" in html.value for html in at.get("html")), "the comparison is drawn"
    with counted_reads() as calls:
        again(at)
    assert len(calls) <= 3, calls  # the finished runs and the pinned one; not one for each contender


def test_what_another_tab_writes_is_shown_by_the_next_drawing(finished):
    at = opened("compare", runs=",".join(finished))
    engine.runs.rename(finished[3], "Renamed meanwhile")
    assert any("Renamed meanwhile" in html.value for html in again(at).get("html"))


def test_inside_the_block_ended_runs_are_read_once_and_others_each_time(finished):
    store.set_status(finished[0], "RUNNING")
    store.set_tag(finished[0], "workspace_id", "another")  # whose driver cannot be seen from here
    with counted_reads() as calls, engine.runs.read_once():
        for _ in range(3):
            for run_id in finished[:2]:
                engine.runs.get_run(run_id)
        assert len(calls) == 3 + 1, calls
        engine.runs.list_runs("train")
        engine.runs.get_run(finished[5])
        assert calls.count("search_runs") == 1 and calls.count("get_run") == 3
        engine.runs.rename(finished[1], "Renamed here")
        assert engine.runs.get_run(finished[1]).title == "Renamed here"
    assert engine.runs.get_run(finished[1]).title == "Renamed here"


def test_a_new_dataset_reads_nothing_before_a_source_is_chosen(workspace):
    with patch.object(engine.preview, "preview_rows", wraps=engine.preview.preview_rows) as read:
        at = opened("data", view="new")
        assert at.radio("data.source").value is None and "source" not in at.query_params
        assert read.call_count == 0 and next(b for b in at.button if b.label == "Prepare").disabled
        at.radio("data.source").set_value("sample")
        again(at)
        assert read.call_count == 1 and not next(b for b in at.button if b.label == "Prepare").disabled
