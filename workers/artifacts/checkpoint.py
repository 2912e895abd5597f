"""Write, verify and restore a checkpoint: safetensors of each rank's own shards, and one JSON that says they are complete."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor import ShardedTensor

from workers.artifacts.results import write_json

INDEX = "checkpoint.json"
BEST = "best.json"
OPTIMIZER = "optimizer."  # prefix of the names of optimizer states, beside the weights


def _shards(state: dict[str, Any], rank: int) -> Iterator[tuple[str, list[int], list[int], Tensor]]:
    """This rank's part of a state dict: name, size of the whole, offsets, tensor. Rank 0 writes what all ranks hold."""
    for name, value in state.items():
        if isinstance(value, ShardedTensor):
            for shard in value.local_shards():
                yield name, list(value.size()), list(shard.metadata.shard_offsets), shard.tensor
        elif rank == 0:
            yield name, list(value.shape), [0] * value.dim(), value


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(name: str, offsets: list[int]) -> str:
    return f"{name}@{','.join(map(str, offsets))}"


def save(root: Path, state: dict[str, Any], epoch: int, facts: dict[str, Any]) -> None:
    """Collective: write `root/epoch-NNN/`, then point `root/best.json` at it and drop the older ones.

    Args:
        root: the run's checkpoint folder, shared by the ranks.
        state: `DistributedModelParallel.state_dict()`, and the states of the optimizers.
        epoch: from 1.
        facts: JSON values kept beside the weights (spec, schema, metrics).
    """
    rank = dist.get_rank()
    partial = root / f".epoch-{epoch:03d}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    own = {_key(n, o): (t.detach().cpu().contiguous(), n, s, o) for n, s, o, t in _shards(state, rank)}
    path = partial / f"rank{rank}.safetensors"
    save_file({key: tensor for key, (tensor, *_) in own.items()}, path)
    entry = _entry(path, {key: {"name": n, "size": s, "offsets": o} for key, (_, n, s, o) in own.items()})
    entries: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(entries, entry)
    if rank == 0:
        files = {f"rank{r}.safetensors": entry for r, entry in enumerate(entries)}
        _publish(root, partial, {"format": 1, "epoch": epoch, "files": files, **facts})
    dist.barrier()


def save_arrays(root: Path, arrays: Mapping[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write the arrays of a model that one process fitted, whole, in the layout of `save`: the only epoch, of the only rank."""
    from safetensors.numpy import save_file as save_numpy

    partial = root / ".epoch-001.partial"
    partial.mkdir(parents=True, exist_ok=True)
    whole = {_key(name, [0] * array.ndim): (np.ascontiguousarray(array), name) for name, array in arrays.items()}
    path = partial / "rank0.safetensors"
    save_numpy({key: array for key, (array, _) in whole.items()}, path)
    shards = {key: {"name": name, "size": list(array.shape), "offsets": [0] * array.ndim} for key, (array, name) in whole.items()}
    _publish(root, partial, {"format": 1, "epoch": 1, "files": {path.name: _entry(path, shards)}, **facts})


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that `save_arrays` wrote, by name; call `best` first, which compares digests."""
    arrays: dict[str, np.ndarray] = {}
    for file_name, entry in facts(folder)["files"].items():
        with safe_open(folder / Path(file_name).name, "np") as file:
            arrays |= {shard["name"]: file.get_tensor(key) for key, shard in entry["shards"].items()}
    return arrays


def _entry(path: Path, shards: dict[str, Any]) -> dict[str, Any]:
    """The index's entry of a file, once its bytes are on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {"bytes": path.stat().st_size, "sha256": _digest(path), "shards": shards}


def _publish(root: Path, partial: Path, index: dict[str, Any]) -> None:
    """Make the files of `partial` the best epoch: write its index, rename it, point to it, delete older ones."""
    final = root / f"epoch-{index['epoch']:03d}"
    write_json(partial / INDEX, index)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)
    write_json(root / BEST, {"folder": final.name})
    for old in root.glob("epoch-*"):
        if old != final:
            shutil.rmtree(old)


def best(root: Path) -> Path:
    """The folder of the best epoch; raises ValueError, naming the file, when it is missing or differs from its digest."""
    try:
        folder = root / Path(json.loads((root / BEST).read_text())["folder"]).name
        index = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"No complete checkpoint in {root}: {error}. Train the model again.") from error
    for name, entry in index["files"].items():
        path = folder / Path(name).name
        if not path.is_file() or path.stat().st_size != entry["bytes"] or _digest(path) != entry["sha256"]:
            raise ValueError(f"Checkpoint file {path} is missing or differs from its digest. Train the model again.")
    return folder


def facts(folder: Path) -> dict[str, Any]:
    """The facts that were stored beside the weights."""
    return json.loads((folder / INDEX).read_text())


def restore_own(root: Path, state: dict[str, Any]) -> None:
    """Collective: copy the best epoch back into the live tensors of a state dict, under the same plan."""
    rank, folder = dist.get_rank(), best(root)
    with safe_open(folder / f"rank{rank}.safetensors", "pt") as file, torch.no_grad():
        for name, _, offsets, tensor in _shards(state, rank):
            tensor.copy_(file.get_tensor(_key(name, offsets)))
    for value in state.values():
        if not isinstance(value, ShardedTensor):
            dist.broadcast(value, src=0)
    dist.barrier()


def restore(folder: Path, state: dict[str, Any]) -> None:
    """Copy a checkpoint into the live tensors of a state dict, whatever ranks and plan it was written under.

    Tables must be restored after they are sharded: TorchRec gives sharded tables fresh weights, whatever the module held.

    Raises:
        ValueError: the checkpoint is of another model, or not whole.
    """
    sizes = {name: list(value.size()) for name, value in state.items()}
    own: dict[str, list[tuple[list[int], Tensor]]] = {name: [] for name in state}
    for name, _, offsets, tensor in _shards(state, 0):  # every rank fills what all of them hold
        own[name].append((offsets, tensor))
    left = {(name, tuple(offsets)): tensor.numel() for name, parts in own.items() for offsets, tensor in parts}
    for file_name, entry in facts(folder)["files"].items():
        with safe_open(folder / Path(file_name).name, "pt") as file, torch.no_grad():
            for key, shard in entry["shards"].items():
                name = shard["name"]
                if key.startswith(OPTIMIZER):
                    continue
                if sizes.get(name) != shard["size"]:
                    raise ValueError(f"Checkpoint {folder} holds {name} {shard['size']}, which this model does not have.")
                stored = file.get_tensor(key) if own[name] else None
                for offsets, tensor in own[name] if stored is not None else ():
                    left[name, tuple(offsets)] -= _copy_overlap(stored, shard["offsets"], tensor, offsets)
    if missing := sorted({name for (name, _), count in left.items() if count}):
        raise ValueError(f"Checkpoint {folder} lacks weights of {', '.join(missing)}.")


def _copy_overlap(stored: Tensor, stored_at: list[int], live: Tensor, live_at: list[int]) -> int:
    """Copy what two parts of one tensor, each at its offsets, have in common; returns how many numbers that is."""
    low = [max(a, b) for a, b in zip(stored_at, live_at, strict=True)]
    high = [min(a + m, b + n) for a, m, b, n in zip(stored_at, stored.shape, live_at, live.shape, strict=True)]
    if any(h <= lo for lo, h in zip(low, high, strict=True)):
        return 0
    there = live[tuple(slice(lo - at, h - at) for lo, h, at in zip(low, high, live_at, strict=True))]
    there.copy_(stored[tuple(slice(lo - at, h - at) for lo, h, at in zip(low, high, stored_at, strict=True))])
    return there.numel()


def restore_optimizers(folder: Path, live: dict[str, Any]) -> dict[str, Tensor] | None:
    """Collective: copy the states of sharded optimizers into their live tensors, if the checkpoint has the shards of every rank.

    Returns:
        The states of the other optimizers, the same on every rank; None, with nothing changed, where ranks or plan differ.
    """
    rank, own = dist.get_rank(), {}
    path = folder / f"rank{rank}.safetensors"
    if path.is_file():
        with safe_open(path, "pt") as file:
            own = {key: file.get_tensor(key) for key in file.keys() if key.startswith(OPTIMIZER)}  # noqa: SIM118 (not a dict)
    wanted = [(_key(name, offsets), tensor) for name, _, offsets, tensor in _shards(live, rank)]
    fits = all(key in own and own[key].shape == tensor.shape for key, tensor in wanted)
    agreed = torch.tensor(int(fits and len(facts(folder)["files"]) == dist.get_world_size()))
    dist.all_reduce(agreed, op=dist.ReduceOp.MIN)
    if not agreed:
        return None
    with torch.no_grad():
        for key, tensor in wanted:
            tensor.copy_(own[key])
    with safe_open(folder / "rank0.safetensors", "pt") as file:
        return {
            key.split("@")[0]: file.get_tensor(key)
            for key in file.keys()  # noqa: SIM118 (not a dict)
            if key.startswith(OPTIMIZER) and key.split("@")[0] not in live
        }


def load_whole(folder: Path, module: nn.Module, prefix: str = "model.") -> None:
    """Put the shards of every rank together in an undistributed module; raises ValueError when one does not fit."""
    state, filled = module.state_dict(), dict.fromkeys(module.state_dict(), 0)
    for file_name, entry in facts(folder)["files"].items():
        with safe_open(folder / Path(file_name).name, "pt") as file, torch.no_grad():
            for key, shard in entry["shards"].items():
                if key.startswith(OPTIMIZER):
                    continue
                name, part = shard["name"].removeprefix(prefix), file.get_tensor(key)
                if name not in state or list(state[name].shape) != shard["size"]:
                    raise ValueError(f"Checkpoint {folder} holds {name} {shard['size']}, which this model does not have.")
                place = tuple(slice(o, o + n) for o, n in zip(shard["offsets"], part.shape, strict=True))
                state[name][place].copy_(part) if place else state[name].copy_(part)
                filled[name] += part.numel()
    missing = [name for name, count in filled.items() if count != state[name].numel()]
    if missing:
        raise ValueError(f"Checkpoint {folder} lacks weights of {', '.join(missing)}.")
