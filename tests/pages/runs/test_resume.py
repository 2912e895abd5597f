"""The Runs page: stopping a training so that it can be resumed, and resuming one."""

import fcntl

import engine
from engine.runs import RunState
from engine.specs import RunSpec
from tests import workspace
from tests.pages.reading import Says, Visit, button, labelled, plainly
from tests.workspace import Workspace
from workers.artifacts import CANCEL, KEEP


def interrupted(own: Workspace, checkpoint: bool = True) -> str:
    """A two-tower whose training failed, with a checkpoint or without one."""
    spec = RunSpec.model_validate({"dataset": own.films, "model": {"kind": "two_tower"}, "name": "Cut short"})
    run_id, folder = workspace.create(spec)
    workspace.end(run_id, folder, "FAILED", "Rank 0 was killed by signal 9 (SIGKILL).")
    if checkpoint:
        (folder / "checkpoint" / "step-00000040").mkdir(parents=True)
        (folder / "checkpoint" / "step-00000040" / "checkpoint.json").write_text("{}")
    return run_id


def test_a_failed_training_with_a_checkpoint_resumes_by_a_click_with_other_processes(own: Workspace, drivers: None, visit: Visit) -> None:
    run_id = interrupted(own)
    at = visit("runs", run=run_id)
    labelled(at.number_input, "Processes").set_value(2)
    button(at, "Resume the run").click().run()
    assert not at.exception
    run = engine.runs.get_run(run_id)
    assert run.state == RunState.QUEUED
    assert run.message is None
    assert "Resume the run" not in [one.label for one in at.button], "it is live"


def test_a_run_without_a_checkpoint_offers_no_resume_and_a_fitted_one_neither(own: Workspace, visit: Visit) -> None:
    for run_id in (interrupted(own, checkpoint=False), own.runs["interrupted"]):
        at = visit("runs", run=run_id)
        assert "Resume the run" not in [one.label for one in at.button]
        assert "Train again" in [one.label for one in at.get("page_link")]


def test_a_network_under_way_can_be_stopped_and_kept(own: Workspace, visit: Visit, says: Says) -> None:
    spec = RunSpec.model_validate({"dataset": own.films, "model": {"kind": "two_tower"}})
    run_id, folder = workspace.create(spec)
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        at = visit("runs", run=run_id)
        assert "Stop and discard" in [one.label for one in at.button]
        button(at, "Stop and keep").click().run()
        assert (folder / CANCEL).read_text() == KEEP
        assert "Cancelling" in plainly(says(at))
