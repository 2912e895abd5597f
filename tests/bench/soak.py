"""A random fault each minute on a mixed queue of real runs; nothing may be lost, left behind, or told wrongly.

    RECBENCH_WORKSPACE=FOLDER uv run python -m tests.bench.soak MINUTES [SEED]

The workspace needs one prepared dataset; a new folder gets generated ratings. Prints a line per fault, and at the end a tally: faults by
kind, the longest time until the workbench told the truth about one, runs by how they ended, and what was left behind. Exits with 1 where
something was lost, left or told wrongly.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

import engine
from engine.runs import Run, RunState, processes, store
from engine.settings import settings
from workers.run import attempts, segments

TRUTH_S = 30.0  # in which the state must be the true one
QUEUE = 3  # runs that are live or wait, at any time
SAMPLE = {"name": "soak", "source": {"kind": "sample", "users": 300, "items": 120, "interactions": 9000}, "history": 50}
ENDED = {RunState.FINISHED: "FINISHED", RunState.CANCELLED: "KILLED"}  # in the store; all others FAILED


class Fault(NamedTuple):
    """What is done to a run, and what must be seen of it in time: given the run, and the number of its attempt before."""

    name: str
    inject: Callable[[Run], None]
    true: Callable[[Run, int], bool]


class Seen(NamedTuple):
    """One fault that was injected: the seconds until the truth, None where it was not told in time."""

    fault: str
    run: str
    truth_s: float | None


def main(minutes: float, seed: int) -> int:
    """Soak the workspace; the exit code."""
    dice, dataset = random.Random(seed), _dataset()
    before = _segments()
    submitted: list[str] = []
    seen: list[Seen] = []
    over = time.monotonic() + 60 * minutes
    while time.monotonic() < over:
        minute = time.monotonic() + 60
        _fill(submitted, dataset, dice)
        seen += [_inject(dice)]
        print(f"{time.strftime('%H:%M:%S')} {seen[-1]}", flush=True)
        while time.monotonic() < min(minute, over):
            time.sleep(1)
            _fill(submitted, dataset, dice)
    _end(submitted)
    return _tally(submitted, seen, before)


def _dataset() -> str:
    known = engine.datasets.list_datasets()
    if known:
        return known[0].id
    run_id = engine.runs.submit(engine.datasets.DatasetSpec.model_validate(SAMPLE))
    while engine.runs.get_run(run_id).live:
        time.sleep(1)
    return engine.datasets.list_datasets()[0].id


def _fill(submitted: list[str], dataset: str, dice: random.Random) -> None:
    """Keep the queue full: two-towers and DLRMs on one rank or two, fitted models, preparations, runs that are resumed."""
    while sum(run.live for run in engine.runs.list_runs()) < QUEUE:
        again = [run for run in engine.runs.list_runs() if engine.runs.why_not_resumable(run) is None]
        if again and dice.random() < 0.4:
            engine.runs.resume(dice.choice(again).run_id, dice.choice([None, 1, 2]))
            continue
        kind = dice.choice(["two_tower", "two_tower", "dlrm", "ease", "prepare"])
        if kind == "prepare":
            spec: object = engine.datasets.DatasetSpec.model_validate(SAMPLE | {"name": f"soak{len(submitted)}"})
        else:
            train = {"epochs": dice.randint(5, 60), "batch_size": 256, "processes": dice.choice([1, 2]), "checkpoint_steps": 50}
            spec = engine.specs.RunSpec.model_validate({"dataset": dataset, "model": {"kind": kind}, "train": train})
        submitted.append(engine.runs.submit(spec))  # type: ignore[arg-type]


def _inject(dice: random.Random) -> Seen:
    """One fault to one run that works."""
    working = [run for run in engine.runs.list_runs() if run.live and run.state in (RunState.RUNNING, RunState.PREPARING)]
    if not working:
        time.sleep(5)
        return Seen("nothing worked", "", 0.0)
    run = dice.choice(working)
    fault = dice.choice([fault for fault in FAULTS if fault.name != "kill a rank" or _ranks(run)])
    attempt = attempts.current(settings().runs / run.run_id).number
    fault.inject(run)
    started = time.monotonic()
    while time.monotonic() - started < TRUTH_S:
        if fault.true(engine.runs.get_run(run.run_id), attempt):
            return Seen(fault.name, run.title, time.monotonic() - started)
        time.sleep(0.2)
    return Seen(fault.name, f"{run.title}, which is {engine.runs.get_run(run.run_id).state.value}", None)


def _ranks(run: Run) -> list[psutil.Process]:
    return [p for p in _processes(run) if "-u" in p.cmdline() and any(word.endswith("train.py") for word in p.cmdline())]


def _processes(run: Run) -> list[psutil.Process]:
    alive = []
    for process in processes.processes(run.run_id):
        try:
            process.cmdline()
            alive.append(process)
        except psutil.Error:
            continue
    return alive


def _kill(chosen: list[psutil.Process]) -> None:
    for process in chosen:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue


def _drivers(run: Run) -> list[psutil.Process]:
    return [p for p in _processes(run) if "engine.driver" in p.cmdline()]


def _java(run: Run) -> list[psutil.Process]:
    return [p for p in _processes(run) if "java" in p.name()]


def _lock_store() -> None:
    """Hold the store for ten seconds, as another program would."""
    with sqlite3.connect(settings().workspace / "mlflow.db", isolation_level=None, timeout=20) as database:
        database.execute("BEGIN EXCLUSIVE")
        time.sleep(10)
        database.execute("ROLLBACK")


def _is_over(run: Run, attempt: int) -> bool:
    return not run.live


def _went_on(run: Run, attempt: int) -> bool:
    """Whether the run has ended, or another attempt of it has begun."""
    return not run.live or attempts.current(settings().runs / run.run_id).number > attempt


def _is_told(run: Run, attempt: int) -> bool:
    """Whether the state is one that its processes bear out: a live run has a driver."""
    return not run.live or bool(_drivers(run))


FAULTS = [
    Fault("kill a rank", lambda run: _kill(_ranks(run)[:1]), _went_on),
    Fault("kill the driver", lambda run: _kill(_drivers(run)), _is_over),
    Fault("kill all processes", lambda run: _kill(_processes(run)), _is_over),
    Fault("kill Java", lambda run: _kill(_java(run)), _is_told),
    Fault("stop and discard", lambda run: engine.runs.cancel_request(run.run_id), _is_over),
    Fault("stop and keep", lambda run: engine.runs.cancel_request(run.run_id, keep=True), _is_over),
    Fault("lock the store for 10 s", lambda run: _lock_store(), _is_told),
]


def _end(submitted: list[str]) -> None:
    """Let what is live finish for two minutes, then stop the rest."""
    over = time.monotonic() + 120
    while time.monotonic() < over and any(engine.runs.get_run(run_id).live for run_id in submitted):
        time.sleep(1)
    for run_id in submitted:
        if engine.runs.get_run(run_id).live:
            engine.runs.cancel(run_id)
    engine.runs.settle_all()


def _segments() -> set[str]:
    shared = Path("/dev/shm")
    return {path.name for path in shared.iterdir()} if shared.is_dir() else set()


def _wrong(run: Run) -> str | None:
    """What is told wrongly about a run that has ended; None where all is true."""
    folder = settings().runs / run.run_id
    attempt = json.loads((folder / "attempt.json").read_text())["number"] if (folder / "attempt.json").exists() else 0
    done = json.loads((folder / "done.json").read_text()) if (folder / "done.json").exists() else {}
    whole = bool(done) and done.get("attempt") == attempt
    if (run.state == RunState.FINISHED) != whole:
        return f"{run.title} is {run.state.value}, and its results are {'' if whole else 'not '}whole"
    if store.get(run.run_id).info.status != ENDED.get(run.state, "FAILED"):
        return f"{run.title} is {run.state.value}, and {store.get(run.run_id).info.status} in the store"
    if run.state in (RunState.FAILED, RunState.INTERRUPTED) and not run.message:
        return f"{run.title} is {run.state.value} without a reason"
    return None


def _tally(submitted: list[str], seen: list[Seen], before: set[str]) -> int:
    runs = [engine.runs.get_run(run_id) for run_id in submitted]  # LookupError: lost
    wrong = [sentence for run in runs if (sentence := _wrong(run))]
    left = [process.pid for run in runs for process in processes.processes(run.run_id)]
    late = [one for one in seen if one.truth_s is None]
    shared = [path.name for run in runs for path in segments.of_run(settings().runs / run.run_id)]
    others = len(_segments() - before - set(shared))
    print(f"\n{len(seen)} faults: {dict(Counter(one.fault for one in seen))}")
    print(f"longest until the truth: {max((one.truth_s or 0 for one in seen), default=0):.1f} s; not in {TRUTH_S:.0f} s: {late or 'none'}")
    print(f"{len(runs)} runs submitted, none lost: {dict(Counter(run.state.value for run in runs))}")
    again = sum(len(list((settings().runs / run.run_id).glob("attempt-*"))) for run in runs)
    print(f"attempts after the first: {again}; processes left: {left or 'none'}; shared memory left: {shared or 'none'}")
    print(f"other new names in /dev/shm: {others}, of these runs only where nothing else ran here")
    print(f"told wrongly: {wrong or 'nothing'}")
    return 1 if wrong or left or late or shared else 0


if __name__ == "__main__":
    os.environ.setdefault("RECBENCH_WORKSPACE", "soak")
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
