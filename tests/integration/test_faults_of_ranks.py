"""What happens to a training when its processes are killed, stopped or starved: real drivers, Spark, torchrun and ranks."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import engine
from engine.runs import RunState, processes
from tests import stores
from tests.commands import until
from tests.integration.test_runs import prepare_sample
from workers.run import attempts

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
Record = Callable[[str, object], None]
MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A prepared dataset, in a workspace that the tests of this file share."""
    folder = stores.copy(stores.once(tmp_path_factory, "sample", prepare_sample), tmp_path_factory.mktemp("faults"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield next(path.name for path in (folder / "datasets").iterdir())
        for run in engine.runs.list_runs():
            if run.live:
                engine.runs.cancel(run.run_id)


def launch(dataset: str, **train: Any) -> str:
    """A two-tower that trains until somebody stops it, or for as many epochs as given."""
    settings = {"epochs": 1000, "batch_size": 256, "patience": None, "retries": 0, **train}
    return engine.runs.submit(engine.specs.RunSpec.model_validate({"dataset": dataset, "model": {"kind": "two_tower"}, "train": settings}))


def folder(run_id: str) -> Path:
    return engine.settings.settings().runs / run_id


def training(run_id: str, step: int = 60) -> None:
    """Wait until a run has trained for some steps."""

    def far() -> bool:
        run = engine.runs.get_run(run_id)
        assert run.live, run.message
        return run.progress is not None and run.progress.phase == "training" and run.progress.step >= step

    until(far)


def phase(run_id: str) -> str:
    """What a live run does."""
    run = engine.runs.get_run(run_id)
    assert run.live, run.message
    return run.progress.phase if run.progress else ""


def ranks(run_id: str) -> dict[int, psutil.Process]:
    """The rank processes of a run: those that torchrun started."""
    seen = {}
    for process in processes.processes(run_id):
        words = process.cmdline()
        if "-u" in words and any(word.endswith("train.py") for word in words):
            seen[int(process.environ()["RANK"])] = process
    return seen


def java(run_id: str) -> psutil.Process:
    """Spark's JVM of a run, once it is there."""

    def seen() -> list[psutil.Process]:
        return [p for p in processes.processes(run_id) if "java" in p.name() and "SparkSubmit" in " ".join(p.cmdline())]

    until(seen)
    return seen()[0]


def ended(run_id: str, record: Record | None = None, timeout: float = 60) -> engine.runs.Run:
    """The run once it is no longer live; records the seconds until then."""
    started = time.monotonic()
    until(lambda: not engine.runs.get_run(run_id).live, timeout)
    if record:
        record("truth_s", time.monotonic() - started)
    until(lambda: processes.processes(run_id) == [], 10)  # the driver itself ends last
    return engine.runs.get_run(run_id)


@pytest.mark.fault("F06", "F69")
def test_a_killed_rank_is_named_with_its_signal_and_nothing_listens_beyond_loopback(dataset: str, record_property: Record) -> None:
    run_id = launch(dataset, processes=2)
    listening: dict[str, set[str]] = {}  # phase -> addresses
    while phase(run_id) != "training":
        _listen(run_id, listening)
    training(run_id)
    _listen(run_id, listening)
    assert {"starting processes", "training"} <= listening.keys()
    for when, addresses in listening.items():
        assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, when
    two = ranks(run_id)
    assert two.keys() == {0, 1}
    two[1].kill()
    run = ended(run_id, record_property)
    assert run.state == RunState.FAILED
    assert "Rank 1 was killed by signal 9 (SIGKILL)" in (run.message or "")
    assert "GB" in (run.message or "") and "out of memory" not in (run.message or "")
    assert "[rank 1]" in (run.message or "") or "Resume" in (run.message or "")


def _listen(run_id: str, listening: dict[str, set[str]]) -> None:
    now = phase(run_id)
    for process in processes.processes(run_id):
        try:
            open_ = {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
        listening.setdefault(now, set()).update(open_)


@pytest.mark.fault("F05")
def test_after_a_kill_another_attempt_follows_as_the_spec_allows(dataset: str, record_property: Record) -> None:
    run_id = launch(dataset, epochs=80, retries=1, checkpoint_steps=20)
    training(run_id)
    ranks(run_id)[0].kill()
    run = ended(run_id, record_property, 200)
    assert (run.state, run.message) == (RunState.FINISHED, None)
    assert attempts.current(folder(run_id)).number == 2
    assert json.loads((folder(run_id) / "done.json").read_text())["attempt"] == 2
    assert "was killed by signal 9" in engine.runs.log_tail(run_id, 2000)


@pytest.mark.fault("F07")
def test_a_stopped_rank_ends_the_attempt_with_stacks_in_the_log(dataset: str, record_property: Record) -> None:
    run_id = launch(dataset, processes=2)
    training(run_id)
    ranks(run_id)[1].send_signal(signal.SIGSTOP)
    run = ended(run_id, record_property, 130)
    assert run.state == RunState.FAILED
    assert "Rank 1 (pid " in (run.message or "") and "was stopped" in (run.message or "")
    said = (folder(run_id) / "run.log").read_text()
    assert "most recent call first" in said, "the stacks of the rank that waited"


@pytest.mark.fault("F17")
def test_a_training_finishes_without_its_jvm_and_one_that_is_cancelled_then_is_cancelled(dataset: str, record_property: Record) -> None:
    finishes, cancelled = launch(dataset, epochs=120), launch(dataset)
    training(finishes, 20)
    java(finishes).kill()
    run = ended(finishes, record_property, 120)
    assert (run.state, run.message) == (RunState.FINISHED, None)
    assert "Traceback" not in (folder(finishes) / "run.log").read_text()
    training(cancelled, 20)
    java(cancelled).kill()
    engine.runs.cancel(cancelled)
    assert ended(cancelled).state == RunState.CANCELLED


@pytest.mark.fault("F07")
def test_a_stopped_driver_is_told_and_can_still_be_cancelled(dataset: str, record_property: Record) -> None:
    run_id = launch(dataset)
    training(run_id)
    driver = next(p for p in processes.processes(run_id) if "engine.driver" in p.cmdline())
    driver.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    until(lambda: f"kill -CONT {driver.pid}" in (engine.runs.get_run(run_id).message or ""), 30)
    record_property("truth_s", time.monotonic() - started)
    engine.runs.cancel(run_id, timeout_s=2)
    assert ended(run_id).state == RunState.CANCELLED


@pytest.mark.fault("F17")
def test_a_preparation_whose_jvm_is_killed_says_so(dataset: str, record_property: Record) -> None:
    run_id = engine.runs.submit(engine.datasets.DatasetSpec.model_validate({"name": "again", "source": {"kind": "sample"}}))
    # in the first step Spark may still be starting, and a JVM that dies while it starts is started once more
    until(lambda: engine.runs.get_run(run_id).progress and engine.runs.get_run(run_id).progress.step > 1)  # type: ignore[union-attr]
    java(run_id).kill()
    run = ended(run_id, record_property)
    assert run.state == RunState.FAILED
    assert "Spark's Java process was killed" in (run.message or "")


@pytest.mark.fault("F41")
def test_a_run_that_needs_more_memory_than_there_is_says_so(dataset: str, record_property: Record) -> None:
    """The driver and all that it starts may use 700 MB: enough to start, too little for the batches."""
    group = MEMORY / f"recbench-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(700 * 1024**2))
    except OSError:
        pytest.skip("needs a memory control group of its own: root, and cgroups of version 1")
    try:
        run_id = launch(dataset, batch_size=1 << 14, retries=0)
        until(lambda: processes.processes(run_id))
        for process in processes.processes(run_id):
            (group / "cgroup.procs").write_text(str(process.pid))
        run = ended(run_id, record_property, 300)
        assert run.state == RunState.FAILED
        assert "was killed" in (run.message or "") and "probably out of memory" in (run.message or "")
    finally:
        until(lambda: not (group / "cgroup.procs").read_text().split(), 30)
        group.rmdir()
