"""The work of each kind of run."""

import json
import logging
import shutil
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from engine import datasets, preflight, runs
from engine.compute import current
from engine.datasets import DatasetSpec, DownloadSpec, fetch
from engine.driver.launching import distribute, run_process
from engine.driver.spreading import spread_export
from engine.driver.trying import attempt_until_done
from engine.driver.watch import Watch
from engine.runs import Outbox
from workers.artifacts import CHECKPOINT, DONE, METRICS, RESULTS, SPEC, write_done
from workers.exports import ListExportSpec, staging
from workers.importance import FeatureTestSpec
from workers.run import Journal, RunSpec, attempts
from workers.run.attempts import Attempt

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger("engine.driver")


def run_preparation(run_id: str, run_dir: Path, journal: Journal, outbox: Outbox, watch: Watch) -> None:
    from engine.prepare import prepare

    def report_progress(phase: str, step: int, total: int) -> None:
        journal.progress(phase, step, total, force=True)
        log.info("%s (%d of %d)", phase, step, total)

    spec = DatasetSpec.read(run_dir / SPEC)
    started = time.monotonic()
    path = prepare(spec, report_progress)
    dataset = datasets.get_dataset(path.name)
    outbox.tag("dataset", dataset.id)
    rows = dataset.manifest["counts"]["rows_read"]
    seconds = time.monotonic() - started
    cost = {"rows": rows, "seconds": seconds, "peak_memory_bytes": dataset.manifest.get("cost", {}).get("peak_memory_bytes", 0)}
    outbox.final(cost)
    write_done(run_dir, {"attempt": attempts.current(run_dir).number, "dataset": dataset.id, **cost})


def run_training(run_id: str, run_dir: Path, journal: Journal, outbox: Outbox, watch: Watch, spark: "Future[SparkSession] | None") -> None:
    spec = RunSpec.read(run_dir / SPEC)
    dataset = datasets.get_dataset(spec.dataset)
    if why := preflight.training(spec, dataset).why_blocked:  # a run that was submitted before its dataset was there
        raise ValueError(why)
    journal.progress("checking the dataset", 0, 1, force=True)
    datasets.verify_some(dataset.id, draw=run_id)
    runs.hold_dataset(run_dir, dataset)
    counts = json.dumps(dataset.manifest["counts"])
    outbox.dataset(dataset.name, dataset.manifest["fingerprint"], str(dataset.path), counts)
    batch = None if spark is None else spec.train.batch_size

    def work(attempt: Attempt) -> int:
        if spark is None:
            return run_process(spec.model.module or "", run_dir, dataset.path, journal)
        return distribute(run_dir, dataset.path, spec, attempt, journal, spark)

    try:
        done = attempt_until_done(run_dir, journal, watch, spec.train.retries, work, batch)
    finally:
        if spec.budget:
            outbox.trials()
    logged = {f"test_{name}": value for name, value in done["metrics"].items() if name in METRICS}
    outbox.final(logged | {name: value for name, value in done.items() if name not in ("attempt", "metrics")})
    for folder in (RESULTS, CHECKPOINT):
        outbox.file(folder)
    for name in (SPEC, DONE):
        outbox.file(name)
    preflight.rates.learn(run_dir, done.get("train_liked", dataset.counts.get("positives", {}).get("train", 0)))


def run_download(run_id: str, run_dir: Path, journal: Journal, outbox: Outbox, watch: Watch) -> None:
    def report_progress(phase: str, done: int, total: int, rate: float | None) -> None:
        left = (total - done) / rate if rate and total else None
        journal.progress(phase, done, max(total, done, 1), bytes_per_s=rate, eta_s=left)

    started = time.monotonic()
    path = fetch(DownloadSpec.read(run_dir / SPEC).wanted, report_progress)
    cost = {"bytes": path.stat().st_size, "seconds": time.monotonic() - started}
    log.info("%s: %d bytes", path, cost["bytes"])
    outbox.final(cost)
    write_done(run_dir, {"attempt": attempts.current(run_dir).number, "path": str(path), **cost})


def run_feature_test(run_id: str, run_dir: Path, journal: Journal, outbox: Outbox, watch: Watch) -> None:
    path = datasets.get_dataset(FeatureTestSpec.read(run_dir / SPEC).dataset).path
    done = attempt_until_done(run_dir, journal, watch, 0, lambda _: run_process("workers.importance.measure", run_dir, path, journal))
    outbox.final({name: value for name, value in done.items() if name != "attempt"})


def run_export(run_id: str, run_dir: Path, journal: Journal, outbox: Outbox, watch: Watch) -> None:
    spec = ListExportSpec.read(run_dir / SPEC)
    path = datasets.get_dataset(spec.dataset).path

    def work(attempt: Attempt) -> int:
        if current().is_cluster:
            return spread_export(run_dir, path, spec, attempt, journal)
        return run_process("workers.exports.export", run_dir, path, journal)

    try:
        done = attempt_until_done(run_dir, journal, watch, 0, work)
    finally:  # left by a process that was killed or cancelled
        shutil.rmtree(staging(spec.target(run_dir.parent, run_id), run_id), ignore_errors=True)
    outbox.final({name: value for name, value in done.items() if name != "attempt"})
