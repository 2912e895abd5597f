"""Digests of what a run or a preparation wrote, so that a file that was edited or cut since is never read as a result.

done.json lists size and SHA-256 of the spec and of every result, and carries a digest of its own content, as manifest.json does. Records
from before there were digests have none, and are read as they are.
"""

import functools
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workers.artifacts.results import DONE, RESULTS, SPEC, write_json

DIGEST, FILES = "digest", "files"  # keys of a sealed record
ADVICE = "train it again, or restore it from a backup"
log = logging.getLogger(__name__)


class DamagedError(ValueError):
    """A stored file is not what was written; the message names the file, what was expected and what is there."""


class FileDigest(NamedTuple):
    """Size in bytes and SHA-256 in hex of a file."""

    bytes: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.bytes:,} bytes with SHA-256 {self.sha256[:12]}…"


def digest_of(path: Path) -> FileDigest:
    """Size and SHA-256 of a file; the same file is not read again until it changes."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, size: int, mtime_ns: int, ctime_ns: int) -> FileDigest:
    with path.open("rb") as file:
        return FileDigest(size, hashlib.file_digest(file, "sha256").hexdigest())


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as JSON values, with the digest of its content under `digest`."""
    content = json.loads(json.dumps({name: value for name, value in record.items() if name != DIGEST}, default=str, allow_nan=False))
    return content | {DIGEST: _content_digest(content)}


def _content_digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_sealed(path: Path) -> dict[str, Any]:
    """The record in a JSON file, without its digest.

    Raises:
        OSError: it cannot be opened. DamagedError: it is no whole JSON object, or its content is not what its digest says.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedError(f"{path.name} is cut or no JSON ({path.stat().st_size:,} bytes: {error})") from error
    if not isinstance(record, dict):
        raise DamagedError(f"{path.name} holds no JSON object")
    expected = record.pop(DIGEST, None)
    if expected is not None and (seen := _content_digest(record)) != expected:
        raise DamagedError(f"{path.name} was changed after it was written (SHA-256 {str(expected)[:12]}… expected, {seen[:12]}… seen)")
    return record


def write_done(run: Path, facts: Mapping[str, Any]) -> None:
    """Write done.json: what a run has to say, and the digests of its spec and of all its results. The run is complete with it."""
    started = time.monotonic()
    paths = [run / SPEC, *sorted((run / RESULTS).rglob("*"))]
    kept = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    files = {path.relative_to(run).as_posix(): digest_of(path)._asdict() for path in kept}
    log.info("%d results of %d bytes have digests, in %.3f s", len(kept), sum(one["bytes"] for one in files.values()), _since(started))
    write_json(run / DONE, sealed({**facts, FILES: files}))


def _since(started: float) -> float:
    return time.monotonic() - started


def read_done(run: Path) -> dict[str, Any]:
    """What done.json of a run folder says, `files` included.

    Raises:
        FileNotFoundError: the run has not finished. DamagedError: done.json was cut or changed; names the run and what to do.
    """
    path = run / DONE
    stat = path.stat()
    return dict(_done(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


@functools.lru_cache(maxsize=1024)
def _done(path: Path, size: int, mtime_ns: int, ctime_ns: int) -> Mapping[str, Any]:
    try:
        return read_sealed(path)
    except DamagedError as error:
        raise DamagedError(f"{error}, of run {path.parent.name}; {ADVICE}.") from error


def checked(run: Path, relative: str) -> Path:
    """The path of a file of a finished run, which is what the run wrote. It may be missing, and is not checked in older runs.

    Args:
        run: the run's folder. relative: such as results/per_user.parquet.

    Raises:
        DamagedError: done.json or the file was cut or changed since; says what was expected and what is there.
    """
    path = run / relative
    try:
        files = read_done(run).get(FILES)
    except FileNotFoundError:
        return path  # a run under way, or one of which only some files were brought here
    if files is None or not path.is_file():
        return path
    seen, expected = digest_of(path), FileDigest(**files[relative]) if relative in files else None
    if seen != expected:
        wanted = "no such file" if expected is None else str(expected)
        raise DamagedError(f"{relative} of run {run.name} differs from what the run wrote ({wanted} expected, {seen} seen); {ADVICE}.")
    return path
