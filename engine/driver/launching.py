"""Starts the processes of a run and waits: ranks by Spark and TorchDistributor, others directly. Their files tell how they ended."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine.compute import Compute, current, using
from engine.driver.causes import LAUNCHER, Cancelled
from engine.runs import processes
from workers.artifacts import DONE
from workers.run import RENDEZVOUS, Journal, RunSpec, attempts, say_why
from workers.run.attempts import Attempt
from workers.training import environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("engine.driver")
PROJECT = Path(__file__).resolve().parents[2]


def import_path() -> str:
    """PYTHONPATH with this project on it."""
    return os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))


def start_spark(run_id: str, spec: RunSpec, attempt: Attempt) -> "Future[SparkSession] | None":
    """The Spark session that starts the ranks, started in the background; None for a model without ranks."""
    if spec.model.module is not None:
        return None
    from engine.spark import GpuRequest, RankRequest, session

    ranks, local, on_gpus = attempt.processes or spec.train.processes, spec.train.local_mode, spec.train.device == "cuda"
    gpus = GpuRequest(ranks, local) if on_gpus else None
    asked = None if local else RankRequest(ranks, on_gpus)
    cores = asked.cores(current()) if asked and current().is_cluster else max(1, (os.cpu_count() or 1) // (ranks if local else 1))
    variables = environment(cores, one_host=local)
    os.environ.update(variables, PYTHONPATH=import_path())
    import pyspark.sql  # noqa: F401 - whole before two threads import parts of it, which are circular: one of them would fail

    starting: Future[SparkSession] = Future()
    here = current()
    if local and here.is_cluster:  # ranks beside the driver need no executors
        here = Compute(gpus=here.gpus)

    def start() -> None:
        try:
            with using(here):
                starting.set_result(session(f"recbench {run_id[:8]}", gpus=gpus, ranks=asked, variables=variables))
        except BaseException as error:
            starting.set_exception(error)

    # a daemon thread: pyspark waits for ever for the port of a JVM that has ended
    threading.Thread(target=start, daemon=True).start()
    return starting


def distribute(run_dir: Path, dataset: Path, spec: RunSpec, attempt: Attempt, journal: Journal, starting: "Future[SparkSession]") -> int:
    """Start the ranks and wait. Their success shows in files only: TorchDistributor reports success for failed runs.

    Returns:
        0.
    """
    journal.progress("starting Spark", 0, 1, force=True)
    from pyspark.ml.torch.distributor import TorchDistributor  # takes a second of one core, while Spark starts
    from pyspark.sql import SparkSession

    from engine.spark import end_everywhere
    from workers.training import train_rank

    starting.result()
    spark = SparkSession.builder.getOrCreate()  # the running session, for this thread
    journal.event("spark up")
    journal.progress("starting processes", 0, 1, force=True)
    n, local = attempt.processes or spec.train.processes, spec.train.local_mode
    try:
        with _private_meeting(run_dir, attempt, local):
            distributor = TorchDistributor(num_processes=n, local_mode=local, use_gpu=spec.train.device == "cuda")
            start = partial(distributor.run, train_rank, str(run_dir), str(dataset), attempt.number)
            if local:  # ranks beside the driver need no Spark once it has said where they run
                start()
            else:
                if attempt.number > 1 and (left := end_everywhere(spark, run_dir.name, n)):  # of the attempt before
                    log.warning("%s", left)
                as_job(spark, run_dir.name, spec.title, start)
    except Cancelled as request:
        if local:
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which comes again and again until this process ends
        with suppress(Exception):  # a JVM that has ended has no jobs left
            spark.sparkContext.cancelJobGroup(run_dir.name)
        if left := end_everywhere(spark, run_dir.name, n):
            raise Cancelled(" ".join(part for part in (str(request) or "Cancelled.", left) if part)) from None
        raise
    except Exception as error:
        log.warning("TorchDistributor: %s", error)
        time.sleep(0.2)  # a rank that fails writes why while its launcher already ends
        if not any(run_dir.glob("rank*.error.json")) and not (run_dir / DONE).exists():
            # no rank left a reason: this error is all there is, though it names no cause when a rank died
            say_why(run_dir, LAUNCHER, error, traceback.format_exc())
    return 0


def as_job(
    spark: "SparkSession", group: str, title: str, start: Callable[[], object], meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Run a job of a group in a thread of its own, which has a connection to the JVM of its own, and call `meanwhile` every second.

    An exception such as `Cancelled` that interrupts a call to the JVM leaves its answer unread: what the same thread asks next waits for
    the job to end, and gets that answer.
    """
    ended: Future[None] = Future()

    def work() -> None:
        try:
            spark.sparkContext.setJobGroup(group, title, interruptOnCancel=True)
            start()
            ended.set_result(None)
        except BaseException as error:
            ended.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    while not ended.done():
        wait([ended], timeout=1.0)
        meanwhile()
    ended.result()


def run_process(module: str, run_dir: Path, dataset: Path, journal: Journal) -> int:
    """Run the single process of a model without ranks, without Spark, and wait; a cancel ends it. Its files hold the verdict.

    Returns:
        Its exit code, or minus the signal that killed it.
    """
    journal.progress("starting the process", 0, 1, force=True)
    words = [sys.executable, "-m", module, str(run_dir), str(dataset), str(attempts.current(run_dir).number)]
    environment = {**os.environ, "PYTHONPATH": import_path(), "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait for others leave their core to other runs
    return subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, check=False).returncode


@contextmanager
def _private_meeting(run_dir: Path, attempt: Attempt, local: bool) -> Iterator[None]:
    """Let the ranks of this host meet in files of a private folder.

    By default torchrun meets on a port of every interface, without authentication, and its agent unpickles what is stored there. It takes
    the file of its store from its endpoint, which TorchDistributor has it set to localhost:0: a file of this name in the current folder.
    """
    if not local:
        yield
        return
    folder = run_dir / processes.TEMPORARY / f"meeting-{attempt.number}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = Path.cwd()
    os.environ[RENDEZVOUS] = str(folder / "ranks")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        del os.environ[RENDEZVOUS]
