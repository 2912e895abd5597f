"""The parts of a checkpoint: which rank has which part of a tensor, and the files that hold them."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed._shard.sharded_tensor import ShardedTensor

from workers.artifacts.results import INDEX
from workers.artifacts.streamed import Written

OPTIMIZER = "optimizer."  # prefix of the names of optimizer states, beside the weights


def shards(state: Mapping[str, Any], rank: int) -> Iterator[tuple[str, list[int], list[int], Tensor]]:
    """This rank's part of a state dict: name, size of the whole, offsets, tensor. Rank 0 writes what all ranks hold."""
    for name, value in state.items():
        if isinstance(value, ShardedTensor):
            for shard in value.local_shards():
                yield name, list(value.size()), list(shard.metadata.shard_offsets), shard.tensor
        elif rank == 0:
            yield name, list(value.shape), [0] * value.dim(), value


def own_shards(state: Mapping[str, Any]) -> Iterator[tuple[str, list[int], list[int], Tensor]]:
    """All that this rank holds of a state dict, as `shards`: its parts, and what every rank holds."""
    return shards(state, 0)


def shard_key(name: str, offsets: list[int]) -> str:
    """The name of a part in its file."""
    return f"{name}@{','.join(map(str, offsets))}"


def file_entry(path: Path, shards: dict[str, Any] | None = None, written: Written | None = None) -> dict[str, Any]:
    """The index's entry of a file, once its bytes are on disk. written: of a file that `write_tensors` wrote."""
    if written is None:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        written = Written(path.stat().st_size, _digest(path))
    path.chmod(path.parent.stat().st_mode & 0o666)  # safetensors makes files that not even the group of a shared workspace may read
    return written._asdict() | ({"shards": shards} if shards is not None else {})


def facts(folder: Path) -> dict[str, Any]:
    """The index of a checkpoint: its files, and the facts that were stored beside the weights."""
    index: dict[str, Any] = json.loads((folder / INDEX).read_text())
    return index


def broken_file(folder: Path, index: dict[str, Any], first: int = 0, step: int = 1) -> Path | None:
    """A file that is missing or differs from its digest, among every step-th file of a checkpoint from `first` on; None: all are whole."""
    entries = sorted({**index["files"], **index.get("positions", {})}.items())
    for name, entry in entries[first::step]:
        path = folder / Path(name).name
        if not path.is_file() or path.stat().st_size != entry["bytes"] or _digest(path) != entry["sha256"]:
            return path
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
