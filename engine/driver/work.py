"""The work of each kind of run."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import datasets, preflight
from engine.datasets import DatasetSpec, DownloadSpec, fetch
from engine.runs import store
from engine.spark import classes
from workers.artifacts import CHECKPOINT, DONE, METRICS, RESULTS, SPEC, write_json
from workers.exports import ListExportSpec, staging
from workers.run import Journal, RunSpec, say_why
from workers.training import environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("engine.driver")

PROJECT = Path(__file__).resolve().parents[2]
ATTEMPT = 1


class Cancelled(BaseException):
    """The run was cancelled. Not an Exception, so that no handler of a library swallows it."""


def run_preparation(run_id: str, run_dir: Path, journal: Journal) -> None:
    from engine.prepare import prepare

    def report_progress(phase: str, step: int, total: int) -> None:
        journal.progress(phase, step, total, force=True)
        log.info("%s (%d of %d)", phase, step, total)

    spec = DatasetSpec.read(run_dir / SPEC)
    started = time.monotonic()
    path = prepare(spec, report_progress)
    dataset = datasets.get_dataset(path.name)
    store.set_tag(run_id, "dataset", dataset.id)
    rows = dataset.manifest["counts"]["rows_read"]
    seconds = time.monotonic() - started
    cost = {"rows": rows, "seconds": seconds, "peak_memory_bytes": dataset.manifest.get("cost", {}).get("peak_memory_bytes", 0)}
    store.log_final(run_id, cost)
    write_json(run_dir / DONE, {"attempt": ATTEMPT, "dataset": dataset.id, **cost})


def run_training(run_id: str, run_dir: Path, journal: Journal, spark: "Future[SparkSession] | None") -> None:
    spec = RunSpec.read(run_dir / SPEC)
    dataset = datasets.get_dataset(spec.dataset)
    if why := preflight.training(spec, dataset).why_blocked:  # a run that was submitted before its dataset was there
        raise ValueError(why)
    journal.progress("checking the dataset", 0, 1, force=True)
    datasets.verify(dataset.id)
    counts = json.dumps(dataset.manifest["counts"])
    store.log_dataset(run_id, dataset.name, dataset.manifest["fingerprint"], str(dataset.path), counts)
    if spark is None:
        _run_process(spec.model.module or "", run_dir, dataset.path, journal)
    else:
        _distribute(run_id, run_dir, dataset.path, spec, journal, spark)
    done = _verdict(run_dir)
    logged = {f"test_{name}": value for name, value in done["metrics"].items() if name in METRICS}
    store.log_final(run_id, logged | {name: value for name, value in done.items() if name not in ("attempt", "metrics")})
    preflight.rates.learn(run_dir, dataset.counts.get("positives", {}).get("train", 0))
    for folder in (RESULTS, CHECKPOINT):
        store.log_folder(run_id, run_dir / folder, folder)
    for name in (SPEC, DONE):
        store.log_file(run_id, run_dir / name)
    if spark is not None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the results are complete: a cancel would only lose them
        classes.keep(spark.result(), lambda phase: journal.progress(phase, 0, 1, force=True))


def run_download(run_id: str, run_dir: Path, journal: Journal) -> None:
    def report_progress(phase: str, done: int, total: int, rate: float | None) -> None:
        left = (total - done) / rate if rate and total else None
        journal.progress(phase, done, max(total, done, 1), bytes_per_s=rate, eta_s=left)

    started = time.monotonic()
    path = fetch(DownloadSpec.read(run_dir / SPEC).wanted, report_progress)
    cost = {"bytes": path.stat().st_size, "seconds": time.monotonic() - started}
    log.info("%s: %d bytes", path, cost["bytes"])
    store.log_final(run_id, cost)
    write_json(run_dir / DONE, {"attempt": ATTEMPT, "path": str(path), **cost})


def run_export(run_id: str, run_dir: Path, journal: Journal) -> None:
    spec = ListExportSpec.read(run_dir / SPEC)
    try:
        _run_process("workers.exports.export", run_dir, datasets.get_dataset(spec.dataset).path, journal)
    finally:  # left by a process that was killed or cancelled
        shutil.rmtree(staging(spec.target(run_dir.parent, run_id), run_id), ignore_errors=True)
    store.log_final(run_id, {name: value for name, value in _verdict(run_dir).items() if name != "attempt"})


def start_spark(run_id: str, spec: RunSpec) -> "Future[SparkSession] | None":
    """The Spark session that starts the ranks, started in the background; None for a model without ranks."""
    if spec.model.module is not None:
        return None
    from engine.spark import GpuRequest, session

    gpus = GpuRequest(spec.train.processes, spec.train.local_mode) if spec.train.device == "cuda" else None
    cores = max(1, (os.cpu_count() or 1) // (spec.train.processes if spec.train.local_mode else 1))
    os.environ.update(environment(cores, one_host=spec.train.local_mode), PYTHONPATH=_import_path())
    import pyspark.sql  # noqa: F401 - whole before two threads import parts of it, which are circular: one of them would fail

    starting: Future[SparkSession] = Future()

    def start() -> None:
        try:
            starting.set_result(session(f"recbench {run_id[:8]}", keeps=True, gpus=gpus))
        except BaseException as error:
            starting.set_exception(error)

    # a daemon thread: pyspark waits for ever for the port of a JVM that has ended
    threading.Thread(target=start, daemon=True).start()
    return starting


def _distribute(run_id: str, run_dir: Path, dataset: Path, spec: RunSpec, journal: Journal, starting: "Future[SparkSession]") -> None:
    """Start the ranks and wait. Their success shows in files only: TorchDistributor reports success for failed runs."""
    journal.progress("starting Spark", 0, 1, force=True)
    from pyspark.ml.torch.distributor import TorchDistributor  # takes a second of one core, while Spark starts

    from engine.spark import session
    from workers.training import train_rank

    starting.result()
    spark = session("")  # the running session, for this thread
    journal.event("spark up")
    journal.progress("starting processes", 0, 1, force=True)
    n = spec.train.processes
    spark.sparkContext.setJobGroup(run_id, spec.title, interruptOnCancel=True)
    try:
        distributor = TorchDistributor(num_processes=n, local_mode=spec.train.local_mode, use_gpu=spec.train.device == "cuda")
        distributor.run(train_rank, str(run_dir), str(dataset), ATTEMPT)
    except Cancelled:
        spark.sparkContext.cancelJobGroup(run_id)
        raise
    except Exception as error:
        log.warning("TorchDistributor: %s", error)
        if not any(run_dir.glob("rank*.error.json")) and not (run_dir / DONE).exists():
            # no rank left a reason: this error is all there is, though it names no cause when a rank died
            say_why(run_dir, "TorchDistributor", error, traceback.format_exc())


def _run_process(module: str, run_dir: Path, dataset: Path, journal: Journal) -> None:
    """Run the single process of a model without ranks, without Spark, and wait. Its files hold the verdict; a cancel ends it."""
    journal.progress("starting the process", 0, 1, force=True)
    words = [sys.executable, "-m", module, str(run_dir), str(dataset), str(ATTEMPT)]
    environment = {**os.environ, "PYTHONPATH": _import_path(), "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, check=False)


def _import_path() -> str:
    """PYTHONPATH with this project on it."""
    return os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))


def _verdict(run_dir: Path) -> dict[str, Any]:
    """done.json of this attempt; RuntimeError with the earliest error that a rank left."""
    try:
        done = json.loads((run_dir / DONE).read_text())
    except (OSError, ValueError):
        raise RuntimeError(cause(run_dir) or "It ended without a result: a process was killed or left early; see the log.") from None
    if done.get("attempt") != ATTEMPT:
        raise RuntimeError(f"done.json is of attempt {done.get('attempt')}, not of attempt {ATTEMPT}; launch the run again.")
    return done


def cause(run_dir: Path) -> str | None:
    """The earliest error that a process of the run left, as a sentence; None without one."""
    left = []
    for path in run_dir.glob("*.error.json"):
        try:
            left.append((json.loads(path.read_text()), path.name.removesuffix(".error.json")))
        except ValueError:
            continue
    if not left:
        return None
    first, who = min(left, key=lambda pair: pair[0]["time"])
    return f"{first['message']} ({first['type']}, {who})"
