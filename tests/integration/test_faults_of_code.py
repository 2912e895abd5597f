"""Code of a run that raises, leaves early, prints rubbish or does not end: real drivers, and the processes that they start."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

import psutil
import pytest

import engine
from engine.runs import RunState, processes, store
from tests import prepared
from tests.commands import until
from tests.injected import inject
from workers.run import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
Record = Callable[[str, object], None]
Case = tuple[dict[str, Any], dict[str, Any], str, str, str]
FITTED: Case = ({"kind": "ease", "l2": 100.0}, {}, "workers.training.tuning", "Tuning.run", "fit")
RANKS: Case = ({"kind": "two_tower", "embedding_dim": 8}, {"epochs": 2, "batch_size": 128}, "workers.training.loop", "Loop.report", "rank0")
KINDS = pytest.mark.parametrize(("model", "train", "module", "method", "who"), [FITTED, RANKS], ids=["fitted", "ranks"])
HOLDS = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
RUBBISH = r"""
import os
import sys

kept = {method}

def noisy(*given):
    os.write(1, b"caf\xe9 \xff\xfe in the bytes of another encoding\n")
    os.write(2, b"\x1b[31mred\x1b[0m\rprogress 10 %\rprogress 20 %\r\n")
    print("x" * 1_000_000, flush=True)
    log.info("a title: %s \x1b[31mred\x1b[0m \udcff", "y" * 1_000_000)
    return kept(*given)

{method} = noisy
"""


@pytest.fixture
def films(workspace: Path) -> Iterator[str]:
    """A prepared dataset, made without Spark; what still runs at the end of a test is ended."""
    yield prepared.prepare(workspace, prepared.films_spec(prepared.write_films(workspace / "source")))
    for run in engine.runs.list_runs():
        if run.live:
            engine.runs.cancel(run.run_id)


def spec(dataset: str, model: dict[str, Any], train: dict[str, Any]) -> RunSpec:
    return RunSpec.model_validate({"dataset": dataset, "model": model, "train": train})


def ended(run_id: str, timeout: float = 240) -> engine.runs.Run:
    until(lambda: not engine.runs.get_run(run_id).live, timeout)
    return engine.runs.get_run(run_id)


def code(method: str, body: str) -> str:
    """Code that puts a function with this body in the place of a method."""
    return f"def broken(*given):\n    {body}\n\n{method} = broken\n"


@KINDS
@pytest.mark.fault("F09")
def test_code_that_raises_fails_the_run_with_its_type_and_message_and_the_lines_before_it(
    films: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, model: Any, train: Any, module: str, method: str, who: str
) -> None:
    body = "[log.warning('line %d', n) for n in range(60)]; raise ArithmeticError('the factors are strange at round 3')"
    inject(monkeypatch, workspace / "injected", module, code(method, body))
    run_id = engine.runs.submit(spec(films, model, train))
    run = ended(run_id)
    assert run.state == RunState.FAILED
    assert run.message == f"the factors are strange at round 3 (ArithmeticError, {who})"
    tail = engine.runs.log_tail(run_id)
    assert "line 10" in tail and "line 59" in tail, "the last fifty lines"
    assert "Traceback" in tail and "in broken" in tail
    assert store.get(run_id).info.status == "FAILED"
    until(lambda: processes.processes(run_id) == [], 20)


@KINDS
@pytest.mark.parametrize("leaves", ["raise SystemExit(0)", "import os; os._exit(0)"], ids=["sys.exit", "os._exit"])
@pytest.mark.fault("F10")
def test_code_that_leaves_early_with_success_fails_the_run(
    films: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, leaves: str, model: Any, train: Any, module: str, method: str, who: str
) -> None:
    inject(monkeypatch, workspace / "injected", module, code(method, leaves))
    run_id = engine.runs.submit(spec(films, model, train))
    run = ended(run_id)
    assert run.state == RunState.FAILED
    assert (run.message or "").startswith("It ended without a result")
    assert not (workspace / "runs" / run_id / "done.json").exists()
    assert run.metrics == {}


@KINDS
@pytest.mark.fault("F22")
def test_rubbish_on_a_terminal_and_in_the_log_stops_no_run_and_is_shown_as_text(
    films: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, model: Any, train: Any, module: str, method: str, who: str
) -> None:
    inject(monkeypatch, workspace / "injected", module, RUBBISH.replace("{method}", method))
    run_id = engine.runs.submit(spec(films, model, train))
    run = ended(run_id)
    assert (run.state, run.message) == (RunState.FINISHED, None)
    tail = engine.runs.log_tail(run_id, 2000)
    assert "y" * 1000 + " …" in tail, "the end of a line without end, cut"
    assert len(tail) < 100_000 and "\x1b" not in tail
    assert "verdict: FINISHED" in tail


@pytest.fixture
def deaf() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a process of a run that ignores SIGTERM."""
    started: list[subprocess.Popen[str]] = []

    def start(run_id: str) -> subprocess.Popen[str]:
        environment = {**os.environ, processes.TOKEN: run_id}
        words = [sys.executable, "-c", HOLDS]
        started.append(subprocess.Popen(words, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout and started[-1].stdout.readline() == "deaf\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def waiting(films: str, workspace: Path) -> Iterator[str]:
    """A run whose real driver waits for its turn, which does not come before the test lets go of it."""
    (workspace / "slots").mkdir()
    with (workspace / "slots" / "0.lock").open("w") as slot:
        flock(slot, LOCK_EX | LOCK_NB)
        run_id = engine.runs.submit(spec(films, *FITTED[:2]))
        until(lambda: (engine.runs.get_run(run_id).progress or engine.runs.Progress(phase="")).phase.startswith("waiting"), 60)
        yield run_id


def driver(run_id: str) -> psutil.Process:
    return next(p for p in processes.processes(run_id) if "engine.driver" in p.cmdline())


@pytest.mark.fault("F08")
@pytest.mark.parametrize("by", ["the driver", "whoever cancels"])
def test_a_process_that_ignores_sigterm_is_killed_before_the_run_is_called_cancelled(
    waiting: str, deaf: Callable[[str], subprocess.Popen[str]], by: str, record_property: Record
) -> None:
    rank = deaf(waiting)
    if by == "whoever cancels":  # the driver cannot: it is stopped
        driver(waiting).send_signal(signal.SIGSTOP)
    seen: list[tuple[RunState, bool]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            state = engine.runs.get_run(waiting).state  # before the look at the process, which may end in between
            seen.append((state, rank.poll() is None))

    watcher = threading.Thread(target=look)
    watcher.start()
    started = time.monotonic()
    try:
        engine.runs.cancel(waiting, timeout_s=15 if by == "the driver" else 1)
        record_property("truth_s", time.monotonic() - started)
    finally:
        over.set()
        watcher.join()
    assert engine.runs.get_run(waiting).state == RunState.CANCELLED
    assert processes.processes(waiting) == []
    assert (RunState.CANCELLING, True) in seen
    assert (RunState.CANCELLED, True) not in seen


@pytest.mark.fault("F20")
def test_a_driver_that_does_not_get_to_run_is_told_and_goes_on_as_before(waiting: str, workspace: Path, record_property: Record) -> None:
    stopped = driver(waiting)
    stopped.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    until(lambda: f"kill -CONT {stopped.pid}" in (engine.runs.get_run(waiting).message or ""), 30)
    record_property("truth_s", time.monotonic() - started)
    assert engine.runs.get_run(waiting).live, "it is not given up"
    engine.runs.settle(waiting)
    assert engine.runs.get_run(waiting).live and stopped.is_running(), "nor ended by who looks"
    stopped.send_signal(signal.SIGCONT)
    until(lambda: not engine.runs.get_run(waiting).message, 30)
    assert engine.runs.get_run(waiting).state == RunState.QUEUED


@pytest.mark.fault("F19")
def test_two_trainings_at_once_finish_each_with_a_log_of_its_own(films: str, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks meet in files of their run, so that no port can be taken; both runs have two ranks."""
    monkeypatch.setenv("RECBENCH_CONCURRENT_RUNS", "2")
    train = RANKS[1] | {"processes": 2}
    epochs = {engine.runs.submit(spec(films, RANKS[0], train | {"epochs": n, "patience": None})): n for n in (3, 4)}
    together = False

    def over() -> bool:
        nonlocal together
        now = [engine.runs.get_run(run_id) for run_id in epochs]
        together |= all(run.state == RunState.RUNNING and processes.is_alive(run.run_id) for run in now)
        return not any(run.live for run in now)

    until(over, 400)
    assert together, "at once"
    for run_id, n in epochs.items():
        run = engine.runs.get_run(run_id)
        assert (run.state, run.message) == (RunState.FINISHED, None)
        assert run.resources["epochs"] == n
        said = (workspace / "runs" / run_id / "run.log").read_text()
        (other,) = epochs.keys() - {run_id}
        assert f"epoch {n}:" in said and f"epoch {n + 1}:" not in said
        assert said.count("verdict:") == 1 and other not in said
        records = [json.loads(line) for line in (workspace / "runs" / run_id / "journal.jsonl").read_text().splitlines()]
        steps = [record["step"] for record in records if "train_loss" in record.get("values", {})]
        assert steps == sorted(set(steps)), "of one run alone"
