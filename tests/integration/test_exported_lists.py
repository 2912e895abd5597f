"""An export of lists as its user meets it: a fitted run and real drivers, without Spark; progress, cancel, kill, and whole files."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import engine
from engine.runs import processes
from tests import exported, stores, tiny
from tests.commands import asked, recbench, until

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
USERS = 4000


@pytest.fixture(scope="module")
def fitted(empty_store, tmp_path_factory):
    """A workspace with one fitted run, and the run's id."""
    folder = stores.copy(empty_store, tmp_path_factory.mktemp("space"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder))
        exported.write(folder, tiny.groups(users=USERS, items=60))
        spec = folder / "ease.json"
        spec.write_text(json.dumps({"dataset": exported.ID, "model": {"kind": "ease", "l2": 10}}))
        yield recbench("train", str(spec), "--wait")["runs"][0]["run_id"]
        for run in engine.runs.list_runs():
            if run.live:
                engine.runs.cancel(run.run_id)


def whole(folder: Path) -> pd.DataFrame:
    """The lists of a finished export; both of its files say the same."""
    found = pd.read_parquet(folder / "top.parquet")
    text = pd.read_csv(folder / "top.csv", dtype={"user_id": str, "item_id": str, "title": str, "score": np.float32})
    pd.testing.assert_frame_equal(found, text.astype(dict(found.dtypes)))
    return found


def test_a_finished_export_is_whole_and_no_contender(fitted, tmp_path):
    (tmp_path / "ids.csv").write_text("user_id,age\nu7,20\nu3,30\n")
    told = recbench("export-lists", fitted, "--k", "5", "--users", str(tmp_path / "ids.csv"), "--to", str(tmp_path / "to"), "--wait")
    found = whole(tmp_path / "to")
    assert set(found["user_id"]) == {"u3", "u7"}
    shown = asked("recommend", fitted, "--user", "u7", "--k", "5")["lists"][0]["items"]
    assert found.loc[found["user_id"] == "u7", "item_id"].tolist() == [item["item_id"] for item in shown]
    assert (told["manifest"]["rows"], told["manifest"]["users"], told["manifest"]["exclude_seen"]) == (10, 2, True)
    assert set(told["manifest"]["columns"]) == set(found)
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["manifest.json", "top.csv", "top.parquet"]
    assert told["run_id"] not in {run.run_id for run in engine.runs.list_runs("train")}
    export = engine.runs.list_exports([fitted])[0]
    assert (export.run.kind, export.run.state, export.run.metrics) == ("export", engine.runs.RunState.FINISHED, {})
    assert export.run.resources["rows"] == 10
    assert [path.name for path in export.files] == ["top.parquet", "top.csv"]
    apart = asked("compare", fitted, told["run_id"])["apart"]
    assert [title for title, _ in apart] == ["Top 5 of " + engine.runs.get_run(fitted).title]


def test_what_cannot_be_is_said_at_once_and_nothing_is_written(fitted, tmp_path):
    (tmp_path / "ids.txt").write_text("u1\nnobody\n")
    before = len(engine.runs.list_runs())
    words = ["export-lists", fitted, "--to", str(tmp_path / "to")]
    assert "'nobody'" in asked(*words, "--users", str(tmp_path / "ids.txt"), fails=True)["error"]
    assert "not empty" in asked("export-lists", fitted, "--to", str(tmp_path), fails=True)["error"]
    assert "k is 0" in asked(*words, "--k", "0", fails=True)["error"]
    assert not (tmp_path / "to").exists()
    assert len(engine.runs.list_runs()) == before


def halfway(fitted: str) -> tuple[str, Path, int]:
    """An export that is stopped in the middle of writing: its run, the folder it makes, and the process that writes."""
    for _ in range(5):
        run_id = engine.runs.export_lists(fitted, k=50)
        target = engine.runs.get_list_export(engine.runs.get_run(run_id)).folder
        partial = target.parent / f".{run_id}.partial"
        deadline = time.monotonic() + 120
        while not partial.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        writer = next(p.pid for p in processes.processes(run_id) if "workers.exports.export" in p.cmdline())
        os.kill(writer, signal.SIGSTOP)
        if partial.exists():
            return run_id, target, writer
        os.kill(writer, signal.SIGCONT)
    raise AssertionError("every export had ended before it was stopped")


def test_a_cancelled_and_a_killed_export_leave_nothing_and_one_that_goes_on_is_whole(fitted):
    run_id, target, _ = halfway(fitted)
    until(lambda: engine.runs.get_run(run_id).progress is not None)
    assert not target.exists()
    engine.runs.cancel(run_id)
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.CANCELLED
    assert not target.exists() and not list(target.parent.glob(".*.partial"))
    assert processes.processes(run_id) == []

    run_id, target, writer = halfway(fitted)
    os.kill(writer, signal.SIGKILL)
    until(lambda: not engine.runs.get_run(run_id).live, 60)
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.FAILED
    assert "was killed by signal 9 (SIGKILL)" in (engine.runs.get_run(run_id).message or "")
    assert not target.exists() and not list(target.parent.glob(".*.partial"))
    assert engine.runs.list_exports([fitted])[0].files == ()

    run_id, target, writer = halfway(fitted)
    os.kill(writer, signal.SIGCONT)
    told = set()
    until(
        lambda: (
            told.add((engine.runs.get_run(run_id).progress or engine.runs.Progress(phase="ended")).phase)
            or not engine.runs.get_run(run_id).live
        ),
        60,
    )
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.FINISHED
    assert len(whole(target)) > 50_000
    assert told & {"writing lists", "reading what users met"}
