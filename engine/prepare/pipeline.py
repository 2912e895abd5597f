"""Spark: a source becomes a prepared dataset, published by one rename or not at all."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from engine import datasets
from engine.datasets import DatasetSpec
from engine.prepare.build import Build
from engine.prepare.steps import STEPS, facts
from engine.settings import settings
from workers.artifacts import MANIFEST, write_json

Progress = Callable[[str, int, int], None]
STALE_S = 600  # a staging folder without a process is left alone this long: it may be another machine's
log = logging.getLogger(__name__)


def _silent(phase: str, step: int, total: int) -> None:
    pass


def prepare(spec: DatasetSpec, progress: Progress = _silent) -> Path:
    """Prepare a dataset, or return at once when the same content was prepared with the same settings before.

    Args:
        spec: what to prepare; runs in this process's Spark session, which stays open.
        progress: told (phase, step, steps) as each step begins.

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
        build = Build(spec, staging)
        for step, (phase, work) in enumerate(STEPS.items(), 1):
            progress(phase, step, len(STEPS))
            begun = time.monotonic()
            work(build)
            log.info("%s: %.1f s", phase, time.monotonic() - begun)
        cost = {"seconds": round(time.monotonic() - started, 1), "peak_memory_bytes": memory.stop()}
        write_json(staging / MANIFEST, _manifest(build, id, fingerprint) | {"cost": cost})
        log.info("prepared %s in %.1f s", id, time.monotonic() - started)
        return _publish(staging, target)
    finally:
        memory.stop()
        shutil.rmtree(staging, ignore_errors=True)


class _Memory:
    """Samples, from a thread, the resident memory of this process and all below it: the JVM and Spark's Python workers."""

    def __init__(self) -> None:
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The peak in bytes; pages that processes share count in each."""
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


def _manifest(build: Build, id: str, fingerprint: str) -> dict[str, Any]:
    files = sorted(path for path in build.staging.rglob("*") if path.is_file())
    return {
        "format": datasets.FORMAT,
        "id": id,
        "name": build.spec.name,
        "fingerprint": fingerprint,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "spec": build.spec.model_dump(mode="json"),
        **facts(build),
        "files": {path.relative_to(build.staging).as_posix(): datasets.digest(path) for path in files},
    }


def _publish(staging: Path, target: Path) -> Path:
    try:
        staging.rename(target)
    except OSError as error:
        if not (target / MANIFEST).is_file():  # otherwise somebody else prepared the same at the same time
            raise ValueError(f"{target} is in the way and is not a prepared dataset ({error}); move it away.") from error
    return target


def _sweep(folder: Path) -> None:
    """Remove what preparations left that died on the way."""
    for path in folder.glob(".staging-*"):
        pid = path.name.rpartition("-")[2]
        if pid.isdigit() and not psutil.pid_exists(int(pid)) and time.time() - path.stat().st_mtime > STALE_S:
            log.warning("Removing what a preparation that died left behind: %s", path.name)
            shutil.rmtree(path, ignore_errors=True)
