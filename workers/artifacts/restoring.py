"""Weights and optimizer states from a checkpoint back into live tensors, whatever ranks and plan wrote it."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed._shard.sharded_tensor import ShardedTensor

from workers.artifacts.mapped import MappedPart, MappedTable
from workers.artifacts.shards import OPTIMIZER, facts, own_shards, shard_key, shards


def restore(folder: Path, state: dict[str, Any]) -> None:
    """Copy a checkpoint into the live tensors of a state dict, whatever ranks and plan it was written under.

    Tables must be restored after they are sharded: TorchRec gives sharded tables fresh weights, whatever the module held.

    Raises:
        ValueError: the checkpoint is of another model, or not whole.
    """
    if missing := _overlay(folder, state, OPTIMIZER, strict=True):
        raise ValueError(f"Checkpoint {folder} lacks weights of {', '.join(missing)}.")


def restore_optimizers(folder: Path, live: dict[str, Any]) -> dict[str, Tensor] | None:
    """Collective: copy the states of sharded optimizers into their live tensors, put together from the parts of all ranks.

    Args:
        live: the states of sharded optimizers, by name.

    Returns:
        The states of the other optimizers, whose names begin with numbers, the same on every rank; None where a state is missing or has
        another shape: `live` is then 0.
    """
    agreed = torch.tensor(int(not _overlay(folder, live, "", strict=False)))
    dist.all_reduce(agreed, op=dist.ReduceOp.MIN)
    if not agreed:
        for _, _, _, tensor in own_shards(live):
            tensor.zero_()
        return None
    with safe_open(folder / "rank0.safetensors", "pt") as file:  # which also has states of the tables that rank 0 held, by their names
        dense = [key for key in file.keys() if key.startswith(OPTIMIZER) and key.split(".")[1].isdigit()]  # noqa: SIM118 (not a dict)
        return {key.split("@")[0]: file.get_tensor(key) for key in dense}


def _overlay(folder: Path, state: dict[str, Any], skipped: str, *, strict: bool) -> list[str]:
    """Copy the parts of a checkpoint where they belong in live tensors; returns the names of those that are not wholly filled.

    Args:
        skipped: prefix of names that are none of `state`; empty: none. strict: raise ValueError for a stored tensor that does not fit.
    """
    sizes = {name: list(value.size()) for name, value in state.items()}
    own: dict[str, list[tuple[list[int], Tensor]]] = {name: [] for name in state}
    for name, _, offsets, tensor in own_shards(state):
        own[name].append((offsets, tensor))
    left = {(name, tuple(offsets)): tensor.numel() for name, parts in own.items() for offsets, tensor in parts}
    for file_name, entry in facts(folder)["files"].items():
        with safe_open(folder / Path(file_name).name, "pt") as file, torch.no_grad():
            for key, shard in entry["shards"].items():
                name = shard["name"]
                if skipped and key.startswith(skipped):
                    continue
                if sizes.get(name) != shard["size"]:
                    if strict:
                        raise ValueError(f"Checkpoint {folder} holds {name} {shard['size']}, which this model does not have.")
                    continue
                stored = file.get_tensor(key) if own[name] else None
                for offsets, tensor in own[name] if stored is not None else ():
                    left[name, tuple(offsets)] -= _copy_overlap(stored, shard["offsets"], tensor, offsets)
    return sorted({name for (name, _), count in left.items() if count})


def _copy_overlap(stored: Tensor, stored_at: list[int], live: Tensor, live_at: list[int]) -> int:
    """Copy what two parts of one tensor, each at its offsets, have in common; returns how many numbers that is."""
    low = [max(a, b) for a, b in zip(stored_at, live_at, strict=True)]
    high = [min(a + m, b + n) for a, m, b, n in zip(stored_at, stored.shape, live_at, live.shape, strict=True)]
    if any(h <= lo for lo, h in zip(low, high, strict=True)):
        return 0
    there = live[tuple(slice(lo - at, h - at) for lo, h, at in zip(low, high, live_at, strict=True))]
    there.copy_(stored[tuple(slice(lo - at, h - at) for lo, h, at in zip(low, high, stored_at, strict=True))])
    return there.numel()


def restore_own(folder: Path, state: dict[str, Any]) -> None:
    """Collective: copy a checkpoint back into live tensors: each rank its own file where ranks and plan are the same, else as `restore`."""
    rank = dist.get_rank()
    path, own = folder / f"rank{rank}.safetensors", list(shards(state, rank))
    stored = facts(folder)["files"].get(path.name, {"shards": {}})["shards"]
    fits = all(stored.get(shard_key(name, offsets), {}).get("size") == size for name, size, offsets, _ in own)
    same = torch.tensor(int(fits and len(facts(folder)["files"]) == dist.get_world_size()))
    dist.all_reduce(same, op=dist.ReduceOp.MIN)
    if not same:
        restore(folder, state)
        return
    with safe_open(path, "pt") as file, torch.no_grad():
        for name, _, offsets, tensor in own:
            tensor.copy_(file.get_tensor(shard_key(name, offsets)))
    for value in state.values():
        if not isinstance(value, ShardedTensor):
            dist.broadcast(value, src=0)
    dist.barrier()


def load_whole(folder: Path, module: nn.Module, prefix: str = "model.") -> None:
    """Put the shards of every rank together in an undistributed module; raises ValueError when one does not fit.

    Tables on torch's meta device become `MappedTable`s of the checkpoint's files, which must stay where they are; all else is copied.
    """
    state, filled, mapped = module.state_dict(), dict.fromkeys(module.state_dict(), 0), dict[str, list[MappedPart]]()
    for file_name, entry in facts(folder)["files"].items():
        with safe_open(folder / Path(file_name).name, "pt") as file, torch.no_grad():
            for key, shard in entry["shards"].items():
                if key.startswith(OPTIMIZER):
                    continue
                name, part = shard["name"].removeprefix(prefix), file.get_tensor(key)
                if name not in state or list(state[name].shape) != shard["size"]:
                    raise ValueError(f"Checkpoint {folder} holds {name} {shard['size']}, which this model does not have.")
                place = tuple(slice(o, o + n) for o, n in zip(shard["offsets"], part.shape, strict=True))
                if state[name].is_meta:
                    mapped.setdefault(name.removesuffix(".weight"), []).append(MappedPart(shard["offsets"][0], shard["offsets"][1], part))
                else:
                    state[name][place].copy_(part) if place else state[name].copy_(part)
                filled[name] += part.numel()
    missing = [name for name, count in filled.items() if count != state[name].numel()]
    if missing:
        raise ValueError(f"Checkpoint {folder} lacks weights of {', '.join(missing)}.")
    for name, parts in mapped.items():
        bags, _, table = name.rpartition(".")
        module.get_submodule(bags)[table] = MappedTable(module.get_submodule(name), parts)  # type: ignore[index, arg-type, operator]
