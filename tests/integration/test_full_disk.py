"""A workspace on a disk that becomes full: a small file system of its own, real drivers and ranks."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
from engine.runs import RunState
from tests import stores
from tests.commands import until
from tests.integration.test_faults_of_ranks import Record, ended, folder, launch, training
from tests.integration.test_runs import prepare_sample
from workers.run import attempts

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with a prepared dataset on a file system of 64 MiB."""
    mounted = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(mounted)], capture_output=True).returncode:
        pytest.skip("only root may mount a file system")
    try:
        space = stores.copy(stores.once(tmp_path_factory, "sample", prepare_sample), mounted / "workspace")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RECBENCH_WORKSPACE", str(space))
            yield space
            for run in engine.runs.list_runs():
                if run.live:
                    engine.runs.cancel(run.run_id)
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill the disk up to some bytes."""
    path = disk.parent / "filler"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    try:
        for _ in range((free - leave) // 4096):
            os.write(file, b"\1" * 4096)
    except OSError:
        pass  # others write too
    finally:
        os.close(file)
    return path


@pytest.mark.fault("F23", "F24")
def test_a_training_on_a_full_disk_ends_with_what_to_free_and_then_resumes(disk: Path, record_property: Record) -> None:
    (dataset,) = (path.name for path in (disk / "datasets").iterdir())
    run_id = launch(dataset, epochs=120, checkpoint_steps=10, retries=1)
    training(run_id, 40)
    filler = fill(disk)
    run = ended(run_id, record_property, 120)
    assert run.state == RunState.FAILED
    assert (run.message or "").startswith("No space left"), run.message
    assert "resume" in (run.message or "")
    assert attempts.current(folder(run_id)).number == 1, "another attempt would fail in the same way"
    assert engine.runs.has_checkpoint(run_id), "the older checkpoint is whole"
    filler.unlink()
    engine.runs.resume(run_id)
    run = ended(run_id, timeout=300)
    assert (run.state, run.message) == (RunState.FINISHED, None)
    history = engine.runs.history(run_id)
    loss = history[history["metric"] == "train_loss"]
    assert loss["step"].is_monotonic_increasing and loss["step"].is_unique


@pytest.mark.fault("F23")
def test_a_preparation_on_a_full_disk_says_so_in_a_sentence(disk: Path, record_property: Record) -> None:
    spec = engine.datasets.DatasetSpec.model_validate({"name": "again", "source": {"kind": "sample"}})
    filler = fill(disk, leave=300_000)
    try:
        with pytest.raises(ValueError, match="Disk: about"):
            engine.runs.submit(spec)
        filler.unlink()
        fill(disk, leave=20_000_000)
        with pytest.MonkeyPatch.context() as patch:  # the disk becomes full after the launch
            patch.setattr("engine.preflight.refuse_small", lambda spec: None)
            run_id = engine.runs.submit(spec)
        until(lambda: (engine.runs.get_run(run_id).progress or engine.runs.Progress(phase="")).step > 0)
        fill(disk, leave=300_000)
        run = ended(run_id, record_property, 200)
        assert run.state == RunState.FAILED
        assert (run.message or "").startswith("No space left"), run.message
        assert len(run.message or "") < 300 and ".java" not in (run.message or "")
        assert not any(path.name.startswith("again") for path in (disk / "datasets").iterdir())
    finally:
        filler.unlink()
