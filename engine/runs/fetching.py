"""What a finished run wrote, where its folder is not in this workspace: fetched from the artifact store into a cache, digests checked.

Nothing is fetched before it is asked for. The cache may be deleted at any time.
"""

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.runs import opened, store
from engine.runs.store_errors import StoreError
from engine.settings import settings
from workers.artifacts import CHECKPOINT, DONE, FILES, RESULTS, SPEC, DamagedError, checked, read_done
from workers.models import FunnelSpec
from workers.run import RunSpec
from workers.specs import mask

AGAIN_S = 60.0  # what could not be fetched is not tried again before
_failed: dict[Path, tuple[float, str]] = {}  # folder in the cache -> until when it is not tried, and why


class UnreachableError(LookupError):
    """What a run wrote is neither in this workspace nor can it be fetched; the message says why and what to do."""


def located(run_id: str, relative: str) -> Path:
    """A file of a run by its path in the run's folder, such as results/top_k.parquet; it may be missing, where the run wrote none.

    Raises:
        UnreachableError: it is not here and cannot be fetched. DamagedError: it is not what the run wrote.
    """
    own = settings().runs / run_id
    if (own / relative).is_file() or not _fetchable(run_id, own):
        return own / relative if relative == DONE else checked(own, relative)
    if own.is_dir() and not _lists(own, relative):
        return own / relative
    cached = _cache(run_id)
    _end(run_id, cached)
    if relative == DONE or (cached / relative).is_file() or relative not in _wrote(run_id, cached):
        return cached / relative if relative == DONE else checked(cached, relative)
    return _whole(run_id, cached, relative)


def missing(run_id: str, relatives: Iterable[str]) -> str | None:
    """Why some of the files that a finished run wrote are not to be had here, in a sentence; None where all are."""
    try:
        for relative in relatives:
            located(run_id, relative)
    except UnreachableError as error:
        return str(error)
    except DamagedError:
        return None  # said where it is read
    return None


def whole_folder(run_id: str) -> Path:
    """The folder of a finished run with its checkpoint, and beside it those of the parts of a funnel.

    Raises:
        UnreachableError: it is not here and cannot be fetched. DamagedError: a file is not what the run wrote.
    """
    own = settings().runs / run_id
    if (own / SPEC).is_file() or not _fetchable(run_id, own):
        return own
    cached = _cache(run_id)
    _end(run_id, cached)
    _whole(run_id, cached, SPEC)
    model = RunSpec.read(cached / SPEC).model
    for relative in _wrote(run_id, cached):
        if relative.startswith(f"{RESULTS}/") and not (cached / relative).is_file():
            _whole(run_id, cached, relative)
    if isinstance(model, FunnelSpec):
        for part in (model.retriever, model.ranker):
            if (folder := whole_folder(part)) != (beside := _cache(part)) and not beside.exists():
                beside.symlink_to(folder, target_is_directory=True)
    elif not (cached / CHECKPOINT).is_dir():
        _fetch(run_id, cached, CHECKPOINT)  # it has digests of its own
    return cached


def _cache(run_id: str) -> Path:
    return settings().workspace / "cache" / "runs" / run_id


def _fetchable(run_id: str, own: Path) -> bool:
    """Whether the store may have what the folder has not: a run that is under way here has nothing more elsewhere."""
    if (own.is_dir() and not (own / DONE).is_file()) or not opened.is_open():  # who reads what a run wrote has read its record before
        return False
    try:
        return bool(store.get(run_id).info.status == "FINISHED")
    except LookupError:
        return False


def _lists(folder: Path, relative: str) -> bool:
    """Whether a run wrote a file, by its done.json; one of an earlier version does not say."""
    return relative in read_done(folder).get(FILES, {})


def _end(run_id: str, cached: Path) -> None:
    """done.json in the cache: what the run wrote, with all digests."""
    if not (cached / DONE).is_file():
        _fetch(run_id, cached, DONE)
    try:
        read_done(cached)
    except DamagedError:
        (cached / DONE).unlink(missing_ok=True)
        raise


def _wrote(run_id: str, cached: Path) -> set[str]:
    """The files that a run wrote, by its done.json; a run of an earlier version does not say, but its artifacts do."""
    files = read_done(cached).get(FILES)
    if files is not None:
        return set(files)
    return {SPEC, *(file.path for file in store.client().list_artifacts(run_id, RESULTS) if not file.is_dir)}


def _whole(run_id: str, cached: Path, relative: str) -> Path:
    """A file in the cache, fetched where it is missing. What differs from its digest is thrown away."""
    if not (cached / relative).is_file():
        _fetch(run_id, cached, relative)
    try:
        return checked(cached, relative)
    except DamagedError:
        (cached / relative).unlink(missing_ok=True)
        raise


def _fetch(run_id: str, cached: Path, relative: str) -> None:
    """Bring a file or a folder into the cache, whole or not at all."""
    if ".." in Path(relative).parts or Path(relative).is_absolute():  # the names are what a store says
        raise DamagedError(f"Run {run_id} names {mask(relative[:200])!r} among its files, which is no path in its folder.")
    until, why = _failed.get(cached, (0.0, ""))
    if time.monotonic() < until:
        raise UnreachableError(why)
    with _aside(cached) as folder:
        try:
            fetched = store.fetch(run_id, relative, folder)
        except StoreError:
            raise
        except Exception as error:
            why = _why(run_id, relative, error)
            _failed[cached] = (time.monotonic() + AGAIN_S, why)
            raise UnreachableError(why) from error
        target = cached / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(fetched, target)
        except OSError:
            if not target.exists():  # another process was not first
                raise


@contextmanager
def _aside(cached: Path) -> Iterator[Path]:
    """A folder to fetch into, on the same disk."""
    folder = cached.parent / f".fetch-{uuid.uuid4().hex}-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _why(run_id: str, relative: str, error: Exception) -> str:
    where = mask(str(store.get(run_id).info.artifact_uri))
    said = mask(" ".join(str(error).split()))[:200]
    if (settings().runs / run_id).is_dir():
        advice = "restore it from a backup, or train the run again"
    elif where.startswith(("/", "file:")):
        advice = "that is a folder of its own machine: set RECBENCH_ARTIFACT_ROOT there to a place that both reach"
    else:
        advice = "check that this machine may read it, and its credentials"
    return f"what run {run_id} wrote ({relative}) is not in this workspace and cannot be fetched from {where} ({said}): {advice}"
