"""Checkpoints are whole or are not there: full disks, flipped bytes and killed writers leave the one before."""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests import ranks
from workers.artifacts import checkpoint
from workers.run import attempts


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Path]:
    """A folder for checkpoints, in a process group of one rank."""
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield tmp_path / "checkpoint"
    dist.destroy_process_group()


def save(root: Path, step: int, numbers: int = 1000, **more: object) -> None:
    """A checkpoint of each rank's own numbers, which are the step."""
    position = {"read": np.arange(step)}, {"position": "{}"}
    checkpoint.save(root, {"weight": torch.full((numbers,), float(step))}, step, {"epoch": 1, "valid": {}}, position, **more)  # type: ignore[arg-type]


def weights(folder: Path) -> float:
    state = {"weight": torch.zeros(1000)}
    checkpoint.restore(folder, state)
    return float(state["weight"].unique())


def test_the_newest_two_are_kept_beside_the_best(alone: Path) -> None:
    for step in (10, 20, 30, 40):
        save(alone, step, best_epoch=1 if step == 20 else None)
    assert sorted(path.name for path in alone.iterdir()) == ["best.json", "epoch-001", "step-00000030", "step-00000040"]
    assert checkpoint.newest(alone) == alone / "step-00000040"
    assert weights(checkpoint.best(alone)) == 20
    assert checkpoint.load_position(alone / "step-00000030", 0)[0]["read"].tolist() == list(range(30))
    assert checkpoint.whole(alone) == checkpoint.best(alone)
    shutil.rmtree(alone / "epoch-001")
    assert checkpoint.whole(alone) == alone / "step-00000040"
    checkpoint.drop_steps(alone)
    with pytest.raises(ValueError, match="No complete checkpoint"):
        checkpoint.whole(alone)


def truncate(newest: Path) -> None:
    file = newest / "rank0.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def flip(newest: Path) -> None:
    file = newest / "rank0.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x77")


def flip_position(newest: Path) -> None:
    file = newest / "position0.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x77")


def lose_index(newest: Path) -> None:
    (newest / "checkpoint.json").unlink()


def empty_index(newest: Path) -> None:
    (newest / "checkpoint.json").write_text("")


def dangle(newest: Path) -> None:
    shutil.rmtree(newest)
    newest.symlink_to("nowhere")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(truncate, marks=pytest.mark.fault("F25")),
        *(pytest.param(one, marks=pytest.mark.fault("F26")) for one in (flip, flip_position, lose_index, empty_index, dangle)),
    ],
)
def test_a_damaged_newest_falls_back_to_the_one_before_and_the_log_says_so(alone, damage, caplog: pytest.LogCaptureFixture) -> None:
    save(alone, 10)
    save(alone, 20)
    damage(alone / "step-00000020")
    with caplog.at_level(logging.WARNING):
        assert checkpoint.newest(alone) == alone / "step-00000010"
    assert "checkpoint step-00000020 is not whole" in caplog.text
    assert weights(alone / "step-00000010") == 10
    save(alone, 20)  # another attempt comes to the same step
    assert checkpoint.newest(alone) == alone / "step-00000020"


@pytest.mark.fault("F26")
def test_where_none_is_whole_there_is_none(alone: Path) -> None:
    assert checkpoint.newest(alone) is None
    save(alone, 10)
    flip(alone / "step-00000010")
    assert checkpoint.newest(alone) is None


def _killed_before_the_name(rank: int, world: int, folder: Path) -> None:
    save(folder / "checkpoint", 10)
    checkpoint._rename = lambda *_: os.kill(os.getpid(), 9)  # type: ignore[assignment]
    save(folder / "checkpoint", 20)


@pytest.mark.fault("F27")
def test_what_a_killed_writer_left_is_ignored_and_swept(tmp_path: Path, alone: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(AssertionError):
        ranks.side_by_side(1, tmp_path / "other", _killed_before_the_name)
    root = tmp_path / "other" / "checkpoint"
    assert sorted(path.name for path in root.iterdir()) == [".step-00000020.1.partial", "step-00000010"]
    assert checkpoint.newest(root) == root / "step-00000010"
    save(root, 30, attempt=2)
    assert sorted(path.name for path in root.iterdir()) == ["step-00000010", "step-00000030"]


@pytest.mark.fault("F16")
def test_a_later_attempt_keeps_an_older_one_from_writing(alone: Path, tmp_path: Path) -> None:
    save(alone, 10)
    attempts.begin(tmp_path)
    attempts.begin(tmp_path)
    with pytest.raises(attempts.SupersededError, match="attempt 2 has replaced it"):
        save(alone, 20, fence=lambda: attempts.refuse_older(tmp_path, 1))
    assert [path.name for path in alone.iterdir()] == ["step-00000010"]


def _fill(rank: int, world: int, folder: Path) -> None:
    """The third checkpoint finds no room, which only one rank notices; nobody waits for anybody, and all say the same."""
    root = folder / "small" / "checkpoint"
    for step in (10, 20):
        save(root, step, 100_000)
    if rank == 0:
        (folder / "small" / "more").write_bytes(bytes(900_000))
    dist.barrier()
    state = {"weight": torch.full((100_000,), 30.0)}
    with pytest.raises(checkpoint.NoSpaceError) as raised:
        checkpoint.save(root, state, 30, {"epoch": 1}, ({"rows": np.zeros(10)}, {}))
    (folder / f"said{rank}").write_text(str(raised.value))
    assert sorted(path.name for path in root.iterdir()) == ["step-00000010", "step-00000020"]
    assert checkpoint.newest(root) == root / "step-00000020"
    dist.barrier()
    if rank == 0:
        (folder / "small" / "more").unlink()
    dist.barrier()
    checkpoint.save(root, state, 30, {"epoch": 1}, ({"rows": np.zeros(10)}, {}))
    assert checkpoint.newest(root) == root / "step-00000030"


@pytest.mark.fault("F23")
def test_a_full_disk_leaves_the_older_checkpoints_and_every_rank_says_how_much_to_free(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1800k", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        ranks.side_by_side(2, tmp_path, _fill)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    said = {(tmp_path / f"said{rank}").read_text() for rank in range(2)}
    assert len(said) == 1
    sentence = said.pop()
    assert sentence.startswith(
        "No space left: the checkpoint of step 30 needs 0.4 MB and 0.1 MB are free; free about 1 MB, then resume."
    ), sentence
    json.dumps(sentence)
