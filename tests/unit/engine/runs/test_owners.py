"""Runs of other people, workspaces and machines in one store: shown, never settled by us, and stopped or thrown away only with force."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import engine
from engine.datasets import DatasetSpec
from engine.runs import OwnerError, RunState, claims, identity, records, store
from engine.runs.described import described
from engine.settings import settings
from tests.commands import asked

SPEC = DatasetSpec.model_validate({"name": "s", "source": {"kind": "sample"}})
ROOT = Path(__file__).resolve().parents[4]


@contextmanager
def submitted() -> Iterator[str]:
    """A run that lives while the block lasts."""
    kind, title, tags = described(SPEC)
    with claims.claimed() as claim:
        (claim.folder / "spec.json").write_text(SPEC.model_dump_json())
        run_id = records.create(claim, kind, title, SPEC, tags)
        claim.become(run_id)
        store.set_status(run_id, "RUNNING")
        yield run_id


def started(**tags: str) -> str:
    """A run with a free lock, as it was started elsewhere by these tags."""
    with submitted() as run_id:
        for name, value in tags.items():
            store.set_tag(run_id, name, value)
    return run_id


def gone(run_id: str) -> str:
    shutil.rmtree(settings().runs / run_id)
    return run_id


def state(run_id: str) -> RunState:
    engine.runs.settle_all()
    return engine.runs.get_run(run_id).state


def test_a_run_says_whose_it_is(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECBENCH_USER", "ann")
    with submitted() as run_id:
        owner = engine.runs.get_run(run_id).owner
        assert (owner.user, owner.host, owner.workspace) == ("ann", identity.machine().host, str(workspace))
        assert owner.is_me and store.get(run_id).data.tags["mlflow.user"] == "ann"
        (listed,) = asked("runs")["runs"]
        assert listed["owner"]["user"] == "ann"


def test_a_run_is_judged_where_its_lock_is_seen_and_nowhere_else(workspace: Path) -> None:
    here, other = identity.machine(), {"host": "gpu-7", "boot": "another"}
    assert state(started(**other)) == RunState.PREPARING, "on shared storage: that machine's lock may not be seen here"
    assert state(gone(started(**other))) == RunState.PREPARING, "in a copy of the workspace"
    assert state(gone(started(host="container-b", boot=here.boot))) == RunState.PREPARING, "in a container with a copy of the workspace"
    assert state(started(host="container-b", boot=here.boot)) == RunState.INTERRUPTED, "in a container that shared this folder"
    assert state(started(host=here.host, boot="before")) == RunState.INTERRUPTED, "before this machine was restarted"
    assert state(gone(started())) == RunState.INTERRUPTED, "of this machine, whose folder was deleted"


def test_a_live_run_elsewhere_says_where(workspace: Path) -> None:
    run_id = started(host="gpu-7", boot="another")
    assert f"It was started in the workspace {workspace} on gpu-7" in (engine.runs.get_run(run_id).message or "")


def test_stopping_somebody_elses_run_needs_force(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with submitted() as run_id:
        store.set_tag(run_id, "user", "ann")
        monkeypatch.setenv("RECBENCH_USER", "bob")
        said = asked("cancel", run_id, fails=True)["error"]
        assert "is not yours to stop: it belongs to ann, in the workspace" in said and f"`recbench cancel {run_id} --force`" in said
        assert state(run_id) == RunState.PREPARING
        engine.runs.cancel_request(run_id, force=True)
        assert state(run_id) == RunState.CANCELLING


def test_a_run_of_another_workspace_is_stopped_there_or_recorded_with_force(workspace: Path) -> None:
    run_id = gone(started(host="gpu-7", boot="another", workspace_id="0" * 32, user="ann", workspace="/home/ann/ws"))
    with pytest.raises(OwnerError, match="belongs to ann, in the workspace /home/ann/ws on gpu-7"):
        engine.runs.cancel(run_id)
    assert store.get(run_id).info.status == "RUNNING"
    engine.runs.cancel(run_id, timeout_s=0.1, force=True)
    run = engine.runs.get_run(run_id)
    assert run.state == RunState.CANCELLED and "could not reach it" in (run.message or "")


def test_a_run_on_another_machine_of_shared_storage_is_asked_to_stop(workspace: Path) -> None:
    run_id = started(host="gpu-7", boot="another")

    def driver() -> None:
        while not (workspace / "runs" / run_id / "cancel").exists():
            time.sleep(0.01)
        store.set_status(run_id, "KILLED", "Cancelled.")

    there = threading.Thread(target=driver)
    there.start()
    engine.runs.cancel(run_id)
    there.join()
    assert state(run_id) == RunState.CANCELLED


def test_a_machine_that_is_gone_is_named_and_force_records_the_end(workspace: Path) -> None:
    run_id = started(host="gpu-7", boot="another")
    with pytest.raises(TimeoutError, match=r"was started in the workspace .* on gpu-7"):
        engine.runs.cancel(run_id, timeout_s=0.1)
    engine.runs.cancel(run_id, timeout_s=0.1, force=True)
    assert state(run_id) == RunState.CANCELLED


def test_throwing_somebody_elses_run_away_needs_force(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with submitted() as run_id:
        store.set_status(run_id, "FINISHED")
    store.set_tag(run_id, "user", "ann")
    monkeypatch.setenv("RECBENCH_USER", "bob")
    (refusal,) = engine.runs.trash([run_id])
    assert refusal.reason.startswith("it belongs to ann, in the workspace") and refusal.reason.endswith("and you are bob")
    assert engine.runs.trash([run_id], force=True) == []


def test_a_run_of_an_earlier_version_is_everybodys(workspace: Path) -> None:
    with submitted() as run_id:
        for name in ("user", "host", "boot", "workspace_id"):
            store.drop_tag(run_id, name)
        assert engine.runs.why_not_yours(engine.runs.get_run(run_id).owner) is None
    assert state(run_id) == RunState.INTERRUPTED


def test_a_container_with_a_copy_of_the_workspace_at_the_same_path_leaves_a_living_run_alone(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from one image: the same path, the same id of the workspace, one store; another host name, and a folder of its own."""
    monkeypatch.setenv("RECBENCH_TRACKING_URI", f"sqlite:///{tmp_path / 'shared.db'}")
    identity.workspace_id()
    copy = shutil.copytree(workspace, tmp_path / "copy")
    asks = "import engine; engine.runs.settle_all(); print([run.state.value for run in engine.runs.list_runs()])"
    enter = f'mount --bind "{copy}" "{workspace}" && hostname container-b && exec "$@"'
    with submitted() as run_id:
        words = ["unshare", "--mount", "--uts", "sh", "-c", enter, "sh", sys.executable, "-c", asks]
        ended = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
        if "unshare" in ended.stderr or "mount" in ended.stderr:
            pytest.skip(f"no namespaces here: {ended.stderr.strip()[-200:]}")
        assert ended.stdout.strip() == "['preparing']", ended.stderr
        assert (state(run_id), store.get(run_id).info.status) == (RunState.PREPARING, "RUNNING")
