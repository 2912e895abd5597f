"""Whether a run has died is told by its lock: neither by the clock, nor by the place of the workspace, nor by a pid."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.datasets import DatasetSpec, DownloadSpec
from engine.runs import RunState, claims, identity, launch, processes, records, store
from engine.runs.described import described
from tests import stores
from tests.commands import until

SPEC = DatasetSpec.model_validate({"name": "s", "source": {"kind": "sample"}})
HOUR_MS = 3_600_000


@contextmanager
def submitted(status: store.Status = "RUNNING") -> Iterator[str]:
    """A run as its submitter makes it; its lock is held while the block lasts."""
    kind, title, tags = described(SPEC)
    with claims.claimed() as claim:
        (claim.folder / "spec.json").write_text(SPEC.model_dump_json())
        run_id = records.create(claim, kind, title, SPEC, tags)
        claim.become(run_id)
        store.set_status(run_id, status)
        yield run_id


def died() -> str:
    with submitted() as run_id:
        return run_id


def state(run_id: str) -> RunState:
    return engine.runs.get_run(run_id).state


@pytest.mark.fault("F21")
@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_a_clock_that_is_an_hour_off_neither_kills_nor_revives(workspace: Path, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as off:
        real = time.time
        off.setattr(time, "time", lambda: real() + 3600 * hours)
        dead = died()
    with submitted() as alive:
        engine.runs.settle_all()
        assert (state(alive), state(dead)) == (RunState.PREPARING, RunState.INTERRUPTED)
        assert store.get(alive).info.status == "RUNNING"


@pytest.mark.fault("F21", "F31")
def test_a_run_is_judged_at_once_and_never_before_its_lock_is_held(workspace: Path, record_property: Any) -> None:
    """In every moment of a submission: known to the store without its own folder, renamed, and given up."""
    kind, title, tags = described(SPEC)
    with claims.claimed() as claim:
        run_id = records.create(claim, kind, title, SPEC, tags)
        assert not (workspace / "runs" / run_id).exists()
        engine.runs.settle_all()
        assert state(run_id) == RunState.QUEUED
        claim.become(run_id)
        engine.runs.settle_all()
        assert state(run_id) == RunState.QUEUED
        released = time.monotonic()
    assert state(run_id) == RunState.INTERRUPTED
    record_property("truth_s", time.monotonic() - released)
    engine.runs.settle_all()
    assert store.get(run_id).info.status == "FAILED"


@pytest.mark.fault("F31")
def test_a_submitter_that_died_before_the_run_had_its_folder_leaves_no_run_that_waits_for_ever(workspace: Path) -> None:
    claim = claims.Claim()
    run_id = records.create(claim, *described(SPEC)[:2], SPEC, {})
    assert state(run_id) == RunState.QUEUED
    os.close(claim.lock)  # as the kernel does when the submitter dies
    assert state(run_id) == RunState.INTERRUPTED
    engine.runs.settle_all()
    assert store.get(run_id).info.status == "FAILED" and not claim.folder.exists()


@pytest.mark.fault("F12")
def test_after_a_restart_of_the_machine_no_foreign_process_is_signalled(workspace: Path, record_property: Any) -> None:
    """The driver's pid belongs to another process by now."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        run_id = died()
        folder = workspace / "runs" / run_id
        identity.sign(folder)
        signed = json.loads((folder / identity.DRIVER).read_text())
        (folder / identity.DRIVER).write_text(json.dumps(signed | {"boot": "another", "pid": stranger.pid}))
        began = time.monotonic()
        engine.runs.settle_all()
        record_property("truth_s", time.monotonic() - began)
        run = engine.runs.get_run(run_id)
        assert (run.state, store.get(run_id).info.status) == (RunState.INTERRUPTED, "FAILED")
        assert "The machine was restarted" in (run.message or "")
        assert stranger.poll() is None, "it lives"
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_dead_run_of_a_moved_or_copied_workspace_is_interrupted_there(
    workspace: Path, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = died()
    store.opened.forget()
    there = tmp_path / "elsewhere" / "ws"
    there.parent.mkdir()
    shutil.copytree(workspace, there)
    if how == "moved":
        shutil.rmtree(workspace)
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(there))
    assert state(run_id) == RunState.INTERRUPTED
    engine.runs.settle_all()
    assert store.get(run_id).info.status == "FAILED"


def test_a_run_of_another_workspace_in_the_same_store_is_left_to_it(
    workspace: Path, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = died()
    other = stores.copy(empty_store, tmp_path / "other")
    (other / identity.WORKSPACE_ID).unlink(missing_ok=True)  # the tests' workspaces are copies of one
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(other))
    monkeypatch.setenv("RECBENCH_TRACKING_URI", f"sqlite:///{workspace / 'mlflow.db'}")
    assert identity.workspace_id() == identity.workspace_id()
    assert state(run_id) == RunState.PREPARING, "nobody here can tell"
    engine.runs.settle_all()
    assert store.get(run_id).info.status == "RUNNING"


def test_a_run_of_an_earlier_version_is_judged_where_its_folder_is(workspace: Path) -> None:
    here, gone = (store.create("prepare", "Prepare s", SPEC, {}) for _ in range(2))
    for run_id in (here, gone):
        store.client().delete_tag(run_id, "recbench.workspace_id")
        store.set_tag(run_id, "workspace", "/a/path/that/was")
    (workspace / "runs" / here).mkdir(parents=True)
    assert (state(here), state(gone)) == (RunState.INTERRUPTED, RunState.QUEUED)


def test_a_verdict_beats_what_the_store_says(workspace: Path) -> None:
    run_id = died()
    folder = workspace / "runs" / run_id
    (folder / "verdict.json").write_text(json.dumps({"status": "FINISHED", "message": None, "time": 1000.0}))
    (folder / "done.json").write_text(json.dumps({"attempt": 1, "dataset": "s-1", "rows": 7, "seconds": 2.0}))
    run = engine.runs.get_run(run_id)
    assert (run.state, run.ended_at, run.dataset) == (RunState.FINISHED, datetime.fromtimestamp(1000, UTC), "s-1")
    assert run.resources == {"rows": 7.0, "seconds": 2.0}


SUBMIT = """
import sys, time
import engine
from engine.datasets import DatasetSpec
while time.time() < float(sys.argv[1]):
    pass
if sys.argv[2] == "cancel":
    engine.runs.cancel(sys.argv[3])
else:
    print(engine.runs.submit(DatasetSpec.model_validate({"name": "s", "source": {"kind": "sample"}}), key="once"))
"""


def together(*words: tuple[str, ...]) -> list[str]:
    """What several apps on one workspace print that do something at the same moment."""
    moment = str(time.time() + 8)
    apps = [
        subprocess.Popen([sys.executable, "-c", SUBMIT, moment, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for given in words
    ]
    said = [app.communicate(timeout=120) for app in apps]
    assert all(app.returncode == 0 for app in apps), said
    return [out.strip() for out, _ in said]


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.fault("F15", "F68")
def test_two_apps_that_launch_and_cancel_the_same_at_once_have_one_run_and_one_end(workspace: Path) -> None:
    one, other = together(("submit",), ("submit",))
    assert one == other, "one run, and both apps show it"
    assert [run.run_id for run in engine.runs.list_runs()] == [one]
    assert len([p for p in processes.processes(one) if "engine.driver" in " ".join(p.cmdline())]) <= 1
    assert processes.is_alive(one)
    together(("cancel", one), ("cancel", one))
    until(lambda: not engine.runs.get_run(one).live, 30)
    assert state(one) == RunState.CANCELLED
    assert processes.processes(one) == []


def test_a_submission_that_the_store_refuses_leaves_nothing(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **named: object) -> str:
        raise engine.runs.StoreError("The store is locked.")

    monkeypatch.setattr(store, "create", refuse)
    with pytest.raises(engine.runs.StoreError):
        launch.submit(DownloadSpec(key="ml-1m"))
    assert list((workspace / "runs").iterdir()) == []
