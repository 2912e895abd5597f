"""Start real ranks without Spark: of a training run, or of a function.

Each rank is a process of its own. All are forked from one that has imported the training stack and done nothing else, since importing takes
longer than most of these trainings.
"""

import json
import multiprocessing
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]
EARLY = {"OMP_NUM_THREADS": "1", "FBGEMM_TBE_BOUNDS_CHECK_MODE": "0"}  # read when torch and fbgemm are imported
Job = Callable[[int, int, Path], None]  # rank, world, a folder that all ranks share
Started = Callable[..., None]


def start(function: Started, *given: Any, environment: Mapping[str, str] | None = None, says: Path | None = None) -> BaseProcess:
    """Start a process that runs a function, which pickle can name.

    Args:
        environment: variables beside those of this process.
        says: the file that gets what it prints, if anybody is to read it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.imported"])
    variables = {**os.environ, **EARLY, **(environment or {})}
    process = context.Process(target=_begin, args=(variables, str(says or os.devnull), function, given))
    with pytest.MonkeyPatch.context() as patch:  # the first start also starts the process that all are forked from
        for name, value in EARLY.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        process.start()
    return process


def _begin(variables: dict[str, str], says: str, function: Started, given: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None  # found anew, from these variables
    with open(says, "wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    function(*given)


def finish(started: list[BaseProcess], timeout: float) -> list[int | None]:
    """Wait for processes, and kill those that take longer; returns their exit codes."""
    for one in started:
        one.join(timeout)
    for one in started:
        one.kill()
        one.join()
    return [one.exitcode for one in started]


def train(run: Path, dataset: Path, spec: dict[str, Any], processes: int = 1, timeout: float = 180, anew: bool = False) -> dict[str, Any]:
    """Run the ranks to their end; returns done.json, or the first error file when a rank failed.

    Args:
        anew: in interpreters that import on their own, and so share neither hashes nor random numbers with others.
    """
    prepare(run, spec, processes)
    doing = _train_anew if anew else _train
    finish([start(doing, str(run), str(dataset), environment=place) for place in places(processes)], timeout)
    left = sorted(run.glob("rank*.error.json"), key=lambda path: json.loads(path.read_text())["time"])
    found: dict[str, Any] = json.loads((left[0] if left else run / "done.json").read_text())
    return found


def prepare(run: Path, spec: dict[str, Any], processes: int = 1) -> None:
    """Make the folder of a run, with its spec."""
    run.mkdir(parents=True)
    train_spec = {"processes": processes, "timeout_s": 60, **spec.get("train", {})}
    (run / "spec.json").write_text(json.dumps({"dataset": "tiny", **spec, "train": train_spec}))


def attempt(run: Path, dataset: Path, processes: int = 1, doing: Started | None = None) -> list[BaseProcess]:
    """Begin the next attempt of a run that `prepare` made, and start its ranks.

    Args:
        doing: what each rank does, given run folder, dataset and the attempt's number; None: `train_rank`.
    """
    from workers.run import attempts

    number = attempts.begin(run, processes).number
    return [start(doing or _train, str(run), str(dataset), number, environment=place) for place in places(processes)]


def _train(run: str, dataset: str, number: int = 1) -> None:
    from workers.training.entry import train_rank

    train_rank(run, dataset, number)


def _train_anew(run: str, dataset: str) -> None:
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "tests.ranks", run, dataset])


def train_all(wanted: list[tuple[Path, Path, dict[str, Any]]], processes: int = 1, timeout: float = 180) -> list[dict[str, Any]]:
    """Several runs one after another: (run folder, dataset, spec) each; as `train`."""
    return [train(*one, processes, timeout) for one in wanted]


def places(world: int) -> list[dict[str, str]]:
    """The environment variables of each of the ranks of this host, which meet at a port that nobody else has."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    size = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    return [meeting | size | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]


def free_port() -> int:
    """A port of this host that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def side_by_side(world: int, folder: Path, job: Job) -> str:
    """Run a function, which pickle can name, on several ranks over gloo; AssertionError where one of them fails.

    Returns:
        What they printed.
    """
    logs = [folder / f"rank{rank}of{world}.log" for rank in range(world)]
    codes = finish([start(_rank, rank, world, folder, job, says=log) for rank, log in enumerate(logs)], 120)
    printed = "\n".join(log.read_text(errors="replace") for log in logs if log.exists())
    assert codes == [0] * world, printed
    return printed


def _rank(rank: int, world: int, folder: Path, job: Job) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / f"store{world}"), world), rank=rank, world_size=world)
    job(rank, world, folder)
    dist.destroy_process_group()


def whole(value: "torch.Tensor", rank: int) -> "torch.Tensor":
    """A tensor of a state dict, gathered on rank 0 where it is sharded; others get nothing of it. A collective call."""
    import torch
    from torch.distributed._shard.sharded_tensor import ShardedTensor

    if not isinstance(value, ShardedTensor):
        return value
    out = torch.empty(value.size()) if rank == 0 else None
    value.gather(0, out)
    return out if out is not None else torch.empty(0)


def restore(state: "dict[str, torch.Tensor]", weights: "dict[str, torch.Tensor]") -> None:
    """Copy whole weights, by name in the model, into the live tensors of a distributed one, which may be cut by rows."""
    from torch.distributed._shard.sharded_tensor import ShardedTensor

    for name, value in state.items():
        given = weights[name.removeprefix("model.")]
        if isinstance(value, ShardedTensor):
            for shard in value.local_shards():
                start = shard.metadata.shard_offsets[0]
                shard.tensor.copy_(given[start : start + len(shard.tensor)])
        else:
            value.copy_(given)


if __name__ == "__main__":
    _train(*sys.argv[1:])
