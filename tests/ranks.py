"""Start real ranks without Spark: of a training run (`python -m tests.ranks RUN DATASET` with torchrun's variables) or a function."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[1]


def train(run: Path, dataset: Path, spec: dict[str, Any], processes: int = 1, timeout: float = 180) -> dict[str, Any]:
    """Run the ranks to their end; returns done.json, or the first error file when a rank failed."""
    return train_all([(run, dataset, spec)], processes, timeout)[0]


def train_all(wanted: list[tuple[Path, Path, dict[str, Any]]], processes: int = 1, timeout: float = 180) -> list[dict[str, Any]]:
    """Several runs one after another by the same ranks, who import once: (run folder, dataset, spec) each; as `train`."""
    for run, _, spec in wanted:
        run.mkdir(parents=True)
        train_spec = {"processes": processes, "timeout_s": 60, **spec.get("train", {})}
        (run / "spec.json").write_text(json.dumps({"dataset": "tiny", **spec, "train": train_spec}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1",
        "WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes),
    }  # fmt: skip
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks", *(str(part) for run, dataset, _ in wanted for part in (run, dataset))],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for rank in range(processes)
    ]
    try:
        for rank in ranks:
            rank.wait(timeout)
    finally:
        for rank in ranks:
            rank.kill()
    return [_end(run) for run, _, _ in wanted]


def _end(run: Path) -> dict[str, Any]:
    left = sorted(run.glob("rank*.error.json"), key=lambda path: json.loads(path.read_text())["time"])
    found: dict[str, Any] = json.loads((left[0] if left else run / "done.json").read_text())
    return found


Job = Callable[[int, int, Path], None]  # rank, world, a folder that all ranks share


def side_by_side(world: int, folder: Path, job: Job) -> None:
    """Run a function, which pickle can name, on several ranks over gloo; AssertionError where one of them fails."""
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=_rank, args=(rank, world, folder, job)) for rank in range(world)]
    for one in ranks:
        one.start()
    for one in ranks:
        one.join(120)
        one.kill()
    assert [one.exitcode for one in ranks] == [0] * world


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
    from workers.training.entry import train_rank

    for place in range(1, len(sys.argv), 2):
        os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + (place > 1))
        train_rank(sys.argv[place], sys.argv[place + 1], 1)
