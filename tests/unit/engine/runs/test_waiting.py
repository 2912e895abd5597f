"""Waiting for a run: it comes back finished, or the reason is raised."""

import pytest

import engine
from engine.runs import RunState
from tests.records import run


def test_a_finished_run_comes_back_and_any_other_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [RunState.QUEUED, RunState.RUNNING, RunState.FINISHED]
    monkeypatch.setattr("engine.runs.waiting.get_run", lambda run_id: run(run_id, state=states.pop(0)))
    assert engine.runs.wait("a" * 32, every_s=0).state is RunState.FINISHED and not states
    states += [RunState.CANCELLING, RunState.CANCELLED]
    with pytest.raises(RuntimeError, match=r"Two-tower.* \(aaaaaaaa\) is cancelled; its log says more"):
        engine.runs.wait("a" * 32, every_s=0)
    failed = run("a" * 32, state=RunState.FAILED, message="Rank 1: loss is nan at step 12")
    monkeypatch.setattr("engine.runs.waiting.get_run", lambda run_id: failed)
    with pytest.raises(RuntimeError, match="is failed: Rank 1: loss is nan at step 12"):
        engine.runs.wait("a" * 32)
