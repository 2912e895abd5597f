"""What a registered model takes behind a stock `mlflow models serve`: `python -m tests.bench.served RUN … [--at-once 50] [--requests 500]`.

Registers runs of the current workspace, serves each in a fresh environment (installed from uv's cache where that has the packages), and
prints seconds to the first answer with the installation and without, resident memory, and p50 and p99 in ms of one request at a time and
of many at once, beside the same lists made in this process. One person a request, lists of 10. Machines are shared: upper bounds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

import engine
from engine.runs import store
from tests.served import serving
from workers.artifacts import USERS
from workers.registry import Query, ServedModel

NAME = "bench-served"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1, help="processes of a server")
    args = parser.parse_args()
    heads = ("model", "MB", "install+start s", "start s", "memory MB", "in process", "one at a time", f"{args.at_once} at once", "lists/s")
    print("".join(f"{head:>18}" for head in heads), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for run_id in args.runs:
            row = measured(run_id, Path(folder), args.at_once, args.requests, args.workers)
            print("".join(f"{cell:>18}" for cell in row), flush=True)


def measured(run_id: str, folder: Path, at_once: int, requests: int, workers: int) -> list[str]:
    """The cells of one run's row."""
    made = engine.registry.register(run_id, NAME)
    users = pd.read_parquet(engine.datasets.get_dataset(made.dataset).path / USERS)["user_id"].tolist()
    asked = [users[place % len(users)] for place in range(requests)]
    local = ServedModel.open(_package(made))
    here = [_timed(lambda user=user: local.answer(Query(user_id=user))) for user in asked[:200]]
    with serving(made.uri, folder, workers) as first:
        installed = first.ready_s
    with serving(made.uri, folder, workers) as served:
        alone = [_timed(lambda user=user: _ask(served.ask, user)) for user in asked[:200]]
        started = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            many = list(pool.map(lambda user: _timed(lambda: _ask(served.ask, user)), asked))
        seconds, memory = time.perf_counter() - started, served.memory_mb
    title, rate = made.title.split(" · ")[0][:16], f"{requests / seconds:.0f}"
    times = [f"{np.percentile(some, 50):.1f}/{np.percentile(some, 99):.1f}" for some in (here, alone, many)]
    return [title, f"{made.bytes / 1e6:.1f}", f"{installed:.0f}", f"{served.ready_s:.0f}", f"{memory:.0f}", *times, rate]


def _package(made: engine.registry.Registered) -> Path:
    source = store.client().get_model_version(made.name, str(made.version)).source
    return Path(source.removeprefix("file://")) / "artifacts" / "package"


def _ask(ask: Callable[..., tuple[int, object]], user: str) -> None:
    status, answer = ask([{"user_id": user}])
    assert status == 200, answer


def _timed(work: Callable[[], object]) -> float:
    """Milliseconds of a call, from its start here to its end."""
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
