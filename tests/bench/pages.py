"""What the pages cost: CPU-seconds and reads of the run store, per page, first drawn and drawn again.

    RECBENCH_WORKSPACE=workspace uv run python -m tests.bench.pages [RUNS]

The workspace is a real one; RUNS are ids of finished runs of one dataset, separated by commas (without: the newest of each model, eight
at most). Compare is drawn again with `engine.runs.read_once` and without it, in turns: the ratio is what reading once is worth on this
machine. Nothing is written and nothing is asserted: the bound that is held is in tests/pages/shared/test_store_reads.py.
"""

import contextlib
import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest

import engine

APP = Path(__file__).parents[2] / "ui" / "app.py"
READS = ("get_run", "search_runs", "get_experiment_by_name", "get_metric_history")
PAGES = {
    "home": {}, "data": {}, "data · new": {"view": "new"}, "train": {}, "runs": {}, "compare": {}, "recommend": {}, "system": {},
}  # fmt: skip
AGAIN = 5
MOST = 8


class Cost(NamedTuple):
    """Of one drawing: seconds of the clock, CPU-seconds of this process, calls that read the store."""

    wall_s: float
    cpu_s: float
    reads: int


@contextlib.contextmanager
def counted_reads() -> Iterator[list[str]]:
    """The names of the calls that read the store while the block lasts."""
    calls: list[str] = []

    def counting(name: str) -> Callable[..., object]:
        read = getattr(MlflowClient, name)

        def call(self: MlflowClient, *given: object, **named: object) -> object:
            calls.append(name)
            return read(self, *given, **named)

        return call

    with contextlib.ExitStack() as stack:
        for name in READS:
            stack.enter_context(patch.object(MlflowClient, name, counting(name)))
        yield calls


def drawn(at: AppTest) -> Cost:
    """Draw a page as it is, and say what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    with counted_reads() as calls:
        at.run()
    if at.exception:
        raise SystemExit(f"The page failed: {at.exception[0].value}")
    return Cost(time.perf_counter() - wall, time.process_time() - cpu, len(calls))


def opened(page: str, query: dict[str, str]) -> tuple[AppTest, Cost]:
    """A visit to a page in a new tab, and the cost of its first drawing."""
    at = AppTest.from_file(APP, default_timeout=120)
    file = page.split(" ")[0]
    if file != "home":
        at.run()  # registers the pages
        at.switch_page(f"{file}/page.py")
    for name, value in query.items():
        at.query_params[name] = value
    return at, drawn(at)


def newest() -> list[str]:
    """The newest finished run of each model on the dataset that was trained on last, then others on it."""
    done = [run for run in engine.runs.list_runs("train") if run.state == engine.runs.RunState.FINISHED]
    same = [run for run in done if run.dataset == done[0].dataset] if done else []
    first = {run.model: run.run_id for run in reversed(same)}
    return [*first.values(), *(run.run_id for run in same if run.run_id not in first.values())][:MOST]


def row(name: str, cost: Cost) -> str:
    return f"{name:28} {cost.cpu_s:8.2f} {cost.wall_s:8.2f} {cost.reads:7d}"


def middle(costs: list[Cost]) -> Cost:
    """The median of each."""
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))._replace(reads=max(cost.reads for cost in costs))


def main() -> None:
    runs = sys.argv[1].split(",") if len(sys.argv) > 1 else newest()
    if not runs:
        raise SystemExit("No finished training in this workspace; train some models first.")
    logging.getLogger("streamlit").setLevel(logging.ERROR)
    print(f"{len(runs)} runs\n{'page':28} {'CPU s':>8} {'clock s':>8} {'reads':>7}")
    AppTest.from_file(APP, default_timeout=120).run()  # imports are a cost of the server's start
    for page, query in PAGES.items():
        query = query | ({"runs": ",".join(runs)} if page in ("compare", "recommend") else {})
        at, first = opened(page, query)
        print(row(f"{page}, first", first))
        print(row(f"{page}, again", middle([drawn(at) for _ in range(AGAIN)])))
    at, _ = opened("compare", {"runs": ",".join(runs)})
    once, each = [], []
    for _ in range(AGAIN):
        once.append(drawn(at))
        with patch.object(engine.runs, "read_once", contextlib.nullcontext):
            each.append(drawn(at))
    print(row("compare, reading once", middle(once)))
    print(row("compare, reading each time", middle(each)))
    print(f"ratio of CPU-seconds: {middle(once).cpu_s / middle(each).cpu_s:.2f}")


if __name__ == "__main__":
    main()
