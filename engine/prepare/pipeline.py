"""Prepare a dataset from a source with Spark; one rename publishes it whole, or nothing is published."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psutil

from engine import datasets
from engine.datasets import DatasetSpec
from engine.prepare import audit, blocks, entities, interactions, ranking, sequences, source_rows, vocabularies
from engine.prepare.jobs import side_by_side
from engine.prepare.manifest import manifest
from engine.prepare.results import (
    Blocks,
    EntityTables,
    Interactions,
    LabelledRows,
    Preparation,
    Results,
    SequenceCounts,
    SourceRows,
    Vocabularies,
)
from engine.settings import settings
from workers.artifacts import MANIFEST, sealed, write_json
from workers.batches import import_streaming

Progress = Callable[[str, int, int], None]
STEPS = (
    "starting Spark and reading", "splitting, and setting rows aside", "labelling", "numbering users, items and features",
    "writing interactions", "writing users and items", "shuffling and writing blocks", "choosing users to rank for", "auditing",
    "measuring popularity and random",
)  # fmt: skip
STALE_S = 600  # younger staging folders without a process stay: they may be another machine's
log = logging.getLogger(__name__)


def _silent(phase: str, step: int, total: int) -> None:
    pass


def prepare(spec: DatasetSpec, progress: Progress = _silent) -> Path:
    """Prepare a dataset, or return at once when the same content was prepared with the same settings before.

    Args:
        spec: what to prepare; runs in this process's Spark session, which stays open.
        progress: called with (phase, step, number of steps) as each step begins.

    Returns:
        The dataset's folder.

    Raises:
        ValueError, FileNotFoundError: the source cannot be read, a split is empty, or there is nothing to learn; says what to do.
    """
    progress("reading the source", 0, len(STEPS))
    spec.source.check()
    fingerprint = datasets.fingerprint(spec)
    id = f"{spec.name}-{fingerprint[:12]}"
    target = settings().datasets / id
    if (target / MANIFEST).is_file():
        return target
    settings().datasets.mkdir(exist_ok=True)
    _sweep(settings().datasets)
    staging = settings().datasets / f".staging-{id}-{os.getpid()}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    started, memory = time.monotonic(), _Memory()
    try:
        preparation = Preparation.of(spec, staging)
        results, written = build(preparation, progress)
        cost = {"seconds": round(time.monotonic() - started, 1), "peak_memory_bytes": memory.stop()}
        write_json(staging / MANIFEST, sealed(manifest(preparation, results, written, id, fingerprint) | {"cost": cost}))
        log.info("prepared %s in %.1f s", id, time.monotonic() - started)
        return _publish(staging, target)
    finally:
        memory.stop()
        shutil.rmtree(staging, ignore_errors=True)


def build(preparation: Preparation, progress: Progress) -> tuple[Results, Blocks]:
    """Write everything but the manifest to the staging folder."""
    import pyspark.sql  # noqa: F401 - whole before two threads import parts of it, which are circular: one of them would fail

    streaming = Thread(target=import_streaming, daemon=True)  # takes seconds of one core, and blocks need it only at the end
    with _step(STEPS[0], progress):
        streaming.start()
        source = source_rows.load(preparation)
    with _step(STEPS[1], progress):
        usable = source_rows.split_and_set_aside(preparation, source)
    with _step(STEPS[2], progress):
        labelled = source_rows.label(preparation, usable)
    with _step(STEPS[3], progress):
        numbered = vocabularies.number(preparation, source, labelled)
    with _step(STEPS[4], progress):
        encoded = interactions.write(preparation, source, labelled, numbered)
    with _step(STEPS[5], progress):
        tables = entities.write(preparation, source, numbered, encoded)
    with side_by_side(preparation) as pool:
        progress(STEPS[6], 7, len(STEPS))  # here, since one thread reports
        writing = pool.submit(_write_blocks, preparation, source, labelled, numbered, encoded, tables, streaming)
        with _step(STEPS[7], progress):
            users = ranking.write(preparation, source, labelled, numbered, encoded, tables)
        results = Results(source, usable, labelled, numbered, encoded, tables, users)
        with _step(STEPS[8], progress):
            audit.write(preparation, results)
        begun = time.monotonic()
        written, ordered = writing.result()
        log.info("%s, beyond the audit: %.1f s", STEPS[6], time.monotonic() - begun)
    with _step(STEPS[9], progress):
        measure_baselines(preparation, source)
    return results._replace(sequences=ordered), written


def _write_blocks(
    preparation: Preparation, source: SourceRows, labelled: LabelledRows, numbered: Vocabularies, encoded: Interactions,
    tables: EntityTables, streaming: Thread,
) -> tuple[Blocks, SequenceCounts | None]:  # fmt: skip
    """One after the other, so that a Python worker of Spark that has imported what blocks need writes both."""
    written = blocks.write(preparation, source, labelled, numbered, encoded, tables, streaming)
    return written, sequences.write(preparation, source, numbered, encoded, streaming)


@contextmanager
def _step(phase: str, progress: Progress) -> Iterator[None]:
    progress(phase, STEPS.index(phase) + 1, len(STEPS))
    begun = time.monotonic()
    yield
    log.info("%s: %.1f s", phase, time.monotonic() - begun)


def measure_baselines(preparation: Preparation, source: SourceRows) -> None:
    """Measure popularity and random under the protocol; no scratch file and no cached table is left."""
    from workers.evaluation import write_baselines

    shutil.rmtree(preparation.scratch, ignore_errors=True)
    write_baselines(preparation.staging)
    source.spark.catalog.clearCache()


class _Memory:
    """Samples in a thread the resident memory of this process and its descendants: the JVM and Spark's Python workers."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The peak in bytes; shared pages count once per process."""
        self._ended.set()
        self._thread.join(timeout=5)
        return self.peak

    def _sample(self) -> None:
        own = psutil.Process()
        while not self._ended.wait(1.0):
            try:
                self.peak = max(self.peak, sum(p.memory_info().rss for p in [own, *own.children(recursive=True)]))
            except psutil.NoSuchProcess:
                continue


def _publish(staging: Path, target: Path) -> Path:
    try:
        staging.rename(target)
    except OSError as error:
        if not (target / MANIFEST).is_file():  # otherwise another process prepared the same dataset at the same time
            raise ValueError(f"{target} exists and is not a prepared dataset ({error}); move it.") from error
    return target


def _sweep(folder: Path) -> None:
    """Remove the staging folders of preparations that died."""
    for path in folder.glob(".staging-*"):
        pid = path.name.rpartition("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and time.time() - path.stat().st_mtime > STALE_S:
            log.warning("Removing the staging folder of a preparation that died: %s", path.name)
            shutil.rmtree(path, ignore_errors=True)
