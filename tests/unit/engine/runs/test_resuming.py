"""Which runs can be resumed, and why others cannot."""

import json
from pathlib import Path

import pytest

import engine
from engine.runs import RunState
from tests import workspace as made
from tests.tiny import groups, write


@pytest.fixture
def run_id(workspace: Path) -> str:
    """A two-tower that failed after its first checkpoint, on a dataset that is here."""
    folder = workspace / "datasets" / "films-0123456789ab"
    write(groups(), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(
        json.dumps(manifest | {"fingerprint": "a" * 64, "format": engine.datasets.FORMAT, "name": "films", "id": folder.name})
    )
    run_id, run = made.create(engine.specs.RunSpec.model_validate({"dataset": folder.name, "model": {"kind": "two_tower"}}))
    made.end(run_id, run, "FAILED", "Rank 0 was killed by signal 9 (SIGKILL).")
    (run / "checkpoint" / "step-00000040").mkdir(parents=True)
    (run / "checkpoint" / "step-00000040" / "checkpoint.json").write_text("{}")
    return run_id


def why(run_id: str) -> str | None:
    return engine.runs.why_not_resumable(engine.runs.get_run(run_id))


@pytest.mark.fault("F40")
def test_a_run_does_not_go_on_with_another_dataset_of_the_same_name(run_id: str, workspace: Path) -> None:
    dataset = engine.datasets.get_dataset("films-0123456789ab")
    folder = workspace / "runs" / run_id
    engine.runs.hold_dataset(folder, dataset)
    engine.runs.hold_dataset(folder, dataset)
    assert why(run_id) is None
    path = dataset.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "b" * 64}))
    other = engine.datasets.get_dataset(dataset.id)
    assert "was prepared anew" in (why(run_id) or "")
    with pytest.raises(ValueError, match="prepared anew since this run began"):
        engine.runs.hold_dataset(folder, other)
    with pytest.raises(ValueError, match="prepared anew"):
        engine.runs.resume(run_id)
    assert engine.runs.get_run(run_id).state == RunState.FAILED, "nothing has changed"


def test_a_run_without_a_checkpoint_or_dataset_and_a_number_of_processes_out_of_range_are_refused(run_id: str, workspace: Path) -> None:
    with pytest.raises(ValueError, match="choose 1 to"):
        engine.runs.resume(run_id, processes=0)
    (workspace / "datasets" / "films-0123456789ab" / "manifest.json").unlink()
    assert "films-0123456789ab" in (why(run_id) or "")
    (workspace / "runs" / run_id / "checkpoint" / "step-00000040" / "checkpoint.json").unlink()
    assert "before its first checkpoint" in (why(run_id) or "")
    with pytest.raises(LookupError):
        engine.runs.resume("0" * 32)
