"""Write, find and verify checkpoints: safetensors of each rank's own shards, and one JSON that says they are complete.

`step-NNNNNNNN`: the newest two, from which a run is resumed; `epoch-NNN`: the best epoch so far, which `best.json` names.
"""

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch.distributed as dist
from safetensors import SafetensorError, safe_open

from workers.artifacts.restoring import load_whole as load_whole
from workers.artifacts.restoring import restore as restore
from workers.artifacts.restoring import restore_optimizers as restore_optimizers
from workers.artifacts.restoring import restore_own as restore_own
from workers.artifacts.results import BEST, INDEX, write_json
from workers.artifacts.shards import OPTIMIZER as OPTIMIZER
from workers.artifacts.shards import broken_file, file_entry, shard_key, shards
from workers.artifacts.shards import facts as facts
from workers.artifacts.streamed import write_tensors
from workers.artifacts.waiting import patient

log = logging.getLogger(__name__)
KEPT = 2  # step checkpoints
POSITION = "position"  # prefix of the files that hold where each rank is in its epoch
Position = tuple[dict[str, np.ndarray], dict[str, str]]  # arrays by name, and texts


class NoSpaceError(OSError):
    """The disk is full."""


class _Part(NamedTuple):
    """What a rank has written of a checkpoint, or why it could not."""

    wanted: int  # bytes
    files: dict[str, Any]
    positions: dict[str, Any]
    failure: BaseException | None


def save(
    root: Path,
    state: dict[str, Any],
    step: int,
    facts: dict[str, Any],
    position: Position,
    *,
    best_epoch: int | None = None,
    attempt: int = 1,
    fence: Callable[[], None] = lambda: None,
) -> None:
    """Collective: write `root/step-NNNNNNNN/`, then delete all but the newest two of these.

    Args:
        root: the run's checkpoint folder, shared by the ranks.
        state: `DistributedModelParallel.state_dict()`, and the states of the optimizers.
        step: of the run.
        facts: JSON values kept beside the weights (spec, schema, metrics).
        position: where this rank is in its epoch.
        best_epoch: the epoch that these weights are the best so far of, if they are.
        attempt: of the run: writers of two attempts have a folder each.
        fence: raises where this process may not write any more.

    Raises:
        NoSpaceError: on every rank, and older checkpoints are as they were. Whatever fence raises, and other failures, on every rank too.
    """
    partial, final = root / f".step-{step:08d}.{attempt}.partial", root / f"step-{step:08d}"
    part = _write_part(partial, state, position, fence)
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, part, group=patient())
    failure = next((part.failure for part in parts if part.failure), None)
    if dist.get_rank() == 0 and failure is None:
        index = {"format": 1, "step": step, **facts}
        index |= {"files": {n: e for one in parts for n, e in one.files.items()}}
        index |= {"positions": {n: e for one in parts for n, e in one.positions.items()}}
        failure = _attempted(lambda: _publish(root, partial, final, index, best_epoch, fence))
    if dist.get_rank() == 0 and failure is not None:
        shutil.rmtree(partial, ignore_errors=True)
        failure = _in_words(failure, root, step, sum(part.wanted for part in parts))
    outcome = [failure]
    dist.broadcast_object_list(outcome, group=patient())
    if outcome[0] is not None:
        raise outcome[0]


def _write_part(partial: Path, state: dict[str, Any], position: Position, fence: Callable[[], None]) -> _Part:
    rank, files, positions = dist.get_rank(), dict[str, Any](), dict[str, Any]()
    own = {shard_key(n, o): (t, n, s, o) for n, s, o, t in shards(state, rank)}
    wanted = sum(tensor.nbytes for tensor, *_ in own.values()) + sum(array.nbytes for array in position[0].values())

    def write() -> None:
        from safetensors.numpy import save_file as save_numpy

        fence()
        partial.mkdir(parents=True, exist_ok=True)
        path, place = partial / f"rank{rank}.safetensors", partial / f"{POSITION}{rank}.safetensors"
        written = write_tensors({key: tensor for key, (tensor, *_) in own.items()}, path)
        parts = {key: {"name": n, "size": s, "offsets": o} for key, (_, n, s, o) in own.items()}
        files[path.name] = file_entry(path, parts, written)
        save_numpy(position[0], place, metadata=position[1])
        positions[place.name] = file_entry(place)

    failure = _attempted(write)
    return _Part(wanted, files, positions, failure)


def _attempted(work: Callable[[], None]) -> Exception | None:
    """What some work raises: ranks that wait for its end must hear of it rather than wait for nothing."""
    try:
        work()
    except Exception as error:
        if isinstance(error, SafetensorError) and f"os error {errno.ENOSPC}" in str(error):
            return OSError(errno.ENOSPC, "No space left on device")
        return RuntimeError(str(error)) if isinstance(error, SafetensorError) else error
    return None


def _in_words(failure: BaseException, root: Path, step: int, wanted: int) -> BaseException:
    if not isinstance(failure, OSError) or failure.errno not in (errno.ENOSPC, errno.EDQUOT):
        return failure
    megabytes, free = wanted / 1e6, shutil.disk_usage(root).free / 1e6
    return NoSpaceError(
        f"No space left: the checkpoint of step {step} needs {megabytes:,.1f} MB and {free:,.1f} MB are free; free about "
        f"{max(megabytes - free, 0) + 0.1 * megabytes + 1:,.0f} MB, then resume."
    )


def _publish(root: Path, partial: Path, final: Path, index: dict[str, Any], best_epoch: int | None, fence: Callable[[], None]) -> None:
    """Write the index of a step's checkpoint and give it its name; then delete older ones, and what was never finished."""
    write_json(partial / INDEX, index)
    fence()
    _rename(partial, final)
    if best_epoch is not None:
        keep_best(root, final, best_epoch)
    for old in _steps(root)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    sweep(root)


def _rename(partial: Path, final: Path) -> None:
    """Give a whole folder its name, in place of another of that name, and see to it that the disk knows."""
    if os.path.lexists(final):
        replaced = final.with_name(f".{final.name}.replaced.partial")
        shutil.rmtree(replaced, ignore_errors=True)
        os.replace(final, replaced)
        os.replace(partial, final)
        shutil.rmtree(replaced, ignore_errors=True)
    else:
        os.replace(partial, final)
    handle = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(root: Path) -> None:
    """Delete what writers left that were killed; call it where nobody else writes."""
    for left in root.glob(".*.partial"):
        shutil.rmtree(left, ignore_errors=True)


def keep_best(root: Path, step: Path, epoch: int) -> None:
    """On one rank: make the weights of a step's checkpoint the best epoch, `root/epoch-NNN/`; its files are linked, not copied."""
    partial, index = root / f".epoch-{epoch:03d}.partial", facts(step)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in index["files"]:
        try:
            os.link(step / name, partial / name)
        except OSError:  # a file system without links
            shutil.copyfile(step / name, partial / name)
            file_entry(partial / name)
    _publish_best(root, partial, {name: value for name, value in index.items() if name != "positions"} | {"epoch": epoch})


def save_arrays(root: Path, arrays: Mapping[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Write the arrays of a model that one process fitted, whole, in the layout of `save`: the only epoch, of the only rank."""
    from safetensors.numpy import save_file as save_numpy

    partial = root / ".epoch-001.partial"
    partial.mkdir(parents=True, exist_ok=True)
    whole = {shard_key(name, [0] * array.ndim): (np.ascontiguousarray(array), name) for name, array in arrays.items()}
    path = partial / "rank0.safetensors"
    save_numpy({key: array for key, (array, _) in whole.items()}, path)
    parts = {key: {"name": name, "size": list(array.shape), "offsets": [0] * array.ndim} for key, (array, name) in whole.items()}
    _publish_best(root, partial, {"format": 1, "epoch": 1, "files": {path.name: file_entry(path, shards=parts)}, **facts})


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that `save_arrays` wrote, by name; call `best` first, which compares digests."""
    arrays: dict[str, np.ndarray] = {}
    for file_name, entry in facts(folder)["files"].items():
        with safe_open(folder / Path(file_name).name, "np") as file:
            arrays |= {shard["name"]: file.get_tensor(key) for key, shard in entry["shards"].items()}
    return arrays


def _publish_best(root: Path, partial: Path, index: dict[str, Any]) -> None:
    """Make the files of `partial` the best epoch: write its index, rename it, point to it, delete older ones."""
    final = root / f"epoch-{index['epoch']:03d}"
    write_json(partial / INDEX, index)
    _rename(partial, final)
    write_json(root / BEST, {"folder": final.name})
    for old in root.glob("epoch-*"):
        if old != final:
            shutil.rmtree(old)


def best(root: Path) -> Path:
    """The folder of the best epoch; raises ValueError, naming the file, when it is missing or differs from its digest."""
    try:
        folder = root / Path(json.loads((root / BEST).read_text())["folder"]).name
        index = facts(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"No complete checkpoint in {root}: {error}. Train the model again.") from error
    if path := broken_file(folder, index):
        raise ValueError(f"Checkpoint file {path} is missing or differs from its digest. Train the model again.")
    return folder


def newest(root: Path) -> Path | None:
    """Collective: the newest checkpoint of a step that is whole; None where there is none. The ranks share the work of reading them."""
    names = [[folder.name for folder in _steps(root)]]
    dist.broadcast_object_list(names)
    for name in names[0]:
        problem = _problem(root / name, dist.get_rank(), dist.get_world_size())
        problems: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(problems, problem, group=patient())
        problem = next(filter(None, problems), None)
        if problem is None:
            return root / str(name)
        if dist.get_rank() == 0:
            log.warning("checkpoint %s is not whole (%s): the one before it is used", name, problem)
    return None


def _problem(folder: Path, first: int = 0, step: int = 1) -> str | None:
    try:
        path = broken_file(folder, facts(folder), first, step)
    except (OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}"
    return f"{path.name} is missing or differs from its digest" if path else None


def whole(root: Path) -> Path:
    """The best epoch, else the newest whole checkpoint of a step; ValueError where there is neither. For a process that acts alone."""
    try:
        return best(root)
    except ValueError:
        newest = next((folder for folder in _steps(root) if _problem(folder) is None), None)
        if newest is None:
            raise
        return newest


def drop_steps(root: Path, after: Path | None = None) -> None:
    """Delete the checkpoints of steps, or those after one: a run that is done needs its best epoch alone, and one that goes on from an
    older step must not count damaged ones among the newest."""
    for folder in _steps(root):
        if after is None or folder.name > after.name:
            shutil.rmtree(folder, ignore_errors=True)


def _steps(root: Path) -> list[Path]:
    """The folders of steps, newest first."""
    return sorted(root.glob("step-*"), key=lambda folder: folder.name, reverse=True)


def load_position(folder: Path, rank: int) -> Position:
    """What a rank gave `save` as its position."""
    with safe_open(folder / f"{POSITION}{rank}.safetensors", "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118 (not a dict)


def ranks_of(folder: Path) -> int:
    """How many ranks wrote a checkpoint."""
    return len(facts(folder)["files"])
