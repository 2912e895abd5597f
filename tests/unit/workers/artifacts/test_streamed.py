"""Files that are written piece by piece are what safetensors reads, and their digest is that of their bytes."""

import errno
import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workers.artifacts import streamed

TENSORS = {
    "table@0,0": torch.randn(1001, 64),
    "columns": torch.randn(20, 8)[:, 2:5],  # not contiguous
    "step": torch.tensor(3.0),
    "empty": torch.zeros(0, 4),
    "flags": torch.tensor([True, False, True]),
    "counts": torch.arange(7),
    "half": torch.randn(5).bfloat16(),
    "bytes": torch.tensor([1, 2, 255], dtype=torch.uint8),
    "narrow": torch.tensor([[-3], [9]], dtype=torch.int32),
    "exact": torch.randn(3, dtype=torch.float64),
}


@pytest.mark.parametrize("piece", [64, streamed.PIECE])
def test_what_is_written_piece_by_piece_is_read_by_safetensors(piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "PIECE", piece)
    path = tmp_path / "weights.safetensors"
    written = streamed.write_tensors(TENSORS, path)
    read = load_file(path)
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor), name
    assert written == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())


def test_nothing_at_all_is_a_file_too(tmp_path: Path) -> None:
    streamed.write_tensors({}, tmp_path / "weights.safetensors")
    assert load_file(tmp_path / "weights.safetensors") == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        streamed.write_tensors(TENSORS, Path("/dev/full"))
    assert caught.value.errno == errno.ENOSPC
