"""How memory and time grow: rows, users and items, each ten times as many, prepared by Spark and trained by two real ranks on CPUs.

    python -m tests.bench.scale --rows 200000 --users 5000 --items 1000

Synthetic clicks. Each case is prepared in a process of its own and trained for one epoch (a two-tower over histories). Prints peak
resident MB of Spark's JVM, of the Python processes of a preparation together and of the larger rank, and seconds of each stage; then the
slopes between the first case and each other one, on logarithms of both: 0 does not grow, 1 grows in proportion. A process holds about
1 GB before it has any data, so slopes of memory are those of what a user sees, and not of the data alone. Machines are shared: seconds
are upper bounds.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.prepare import watch

TIMES = 10
MB = 1 << 20
STAGES = ("jvm_mb", "prepare_python_mb", "rank_mb", "prepare_s", "start_s", "train_s", "evaluate_s")
PREPARE = """
import json, sys
from engine.datasets import DatasetSpec
from engine.prepare import prepare
prepare(DatasetSpec.model_validate(json.loads(sys.argv[1])))
"""
TRAIN = {"epochs": 1, "batch_size": 1024, "table_learning_rate": 0.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"rows": 200_000, "users": 5000, "items": 1000}
    for name, size in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    args = vars(parser.parse_args())
    print(" ".join(f"{name:>18}" for name in ("case", *STAGES)), flush=True)
    first = measure(args)
    show("first", first)
    for grown in sizes:
        seen = measure(args | {grown: args[grown] * TIMES})
        show(f"{grown} x {TIMES}", seen)
        show("slope", {name: math.log(seen[name] / first[name]) / math.log(TIMES) for name in STAGES})


def show(case: str, values: dict[str, float]) -> None:
    print(f"{case:>18}", *(f"{values[name]:>18.2f}" for name in STAGES), flush=True)


def measure(sizes: dict[str, int]) -> dict[str, float]:
    """Peak MB and seconds of one case, by the names in STAGES."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workspace = Path(folder)
        jvm, python, seconds = _prepare(sizes, workspace)
        dataset = next((workspace / "datasets").glob("bench-*"))
        return {"jvm_mb": jvm, "prepare_python_mb": python, "prepare_s": seconds, **_train(workspace / "run", dataset)}


def _prepare(sizes: dict[str, int], workspace: Path) -> tuple[float, float, float]:
    spec = {"name": "bench", "source": {"kind": "synthetic", **sizes}, "history": 20}
    started = time.monotonic()
    with (workspace / "bench.log").open("w") as log:
        environment = {**os.environ, "RECBENCH_WORKSPACE": str(workspace)}
        child = subprocess.Popen([sys.executable, "-c", PREPARE, json.dumps(spec)], env=environment, stdout=log, stderr=log)
        peaks = watch(child)
    if child.returncode:
        raise SystemExit((workspace / "bench.log").read_text()[-3000:])
    return *peaks, time.monotonic() - started


def _train(run: Path, dataset: Path) -> dict[str, float]:
    from tests import ranks
    from workers.artifacts import JOURNAL
    from workers.run import read_journal

    started = time.time()
    done: dict[str, Any] = ranks.train(run, dataset, {"model": {"kind": "two_tower"}, "train": TRAIN}, 2, timeout=1200, anew=True)
    if "metrics" not in done:
        raise SystemExit(str(done)[:3000])
    records, _ = read_journal(run / JOURNAL)
    at = {record["event"]: record["time"] for record in records if "event" in record}
    return {
        "rank_mb": done["peak_memory_bytes"] / MB,
        "start_s": at["imported"] - started,
        "train_s": at["trained"] - at["imported"],
        "evaluate_s": at["evaluated"] - at["trained"],
    }


if __name__ == "__main__":
    main()
