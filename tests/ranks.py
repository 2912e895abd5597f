"""Start real ranks of a training run without Spark: `python -m tests.ranks RUN DATASET` under the variables of torchrun."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

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


if __name__ == "__main__":
    from workers.training.entry import train_rank

    for place in range(1, len(sys.argv), 2):
        os.environ["MASTER_PORT"] = str(int(os.environ["MASTER_PORT"]) + (place > 1))
        train_rank(sys.argv[place], sys.argv[place + 1], 1)
