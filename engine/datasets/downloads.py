"""Download public data sets: resume interrupted downloads, verify the file before it counts as complete, limit its size."""

import hashlib
import json
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import Field, field_validator

from engine import locks
from engine.settings import settings
from workers.artifacts import write_json
from workers.specs import Spec

if TYPE_CHECKING:
    from requests import Response, Session

BASE, BASE_VARIABLE = "https://files.grouplens.org/datasets/", "RECBENCH_DOWNLOAD_BASE"
CHUNK = 1 << 13  # bytes; a connection that ends within a chunk loses that chunk
TRIES, TIMEOUT_S = 3, (10, 30)  # seconds to connect, and between two chunks
MOST_UNPACKED = 20 << 30
_TERMS = "Research use with acknowledgement of GroupLens; not for commercial use without their permission"
_OLD, _NEW = f"{_TERMS}, nor to be passed on.", f"{_TERMS}; to be passed on under the same terms only."
_CC_BY = "CC BY 4.0: any use that names Sharma, Harper and Karypis, Learning from Sets of Items in Recommender Systems (TiiS 2019)."

T = TypeVar("T")
ReportProgress = Callable[[str, int, int, float | None], None]  # phase, bytes done, total bytes (0: unknown), bytes per second


class Download(NamedTuple):
    """A public data set. bytes: approximate size of its zip; max_bytes: larger downloads are refused; folder: its folder in the zip."""

    key: str
    title: str
    path: str
    bytes: int
    max_bytes: int
    license: str
    source_kind: str
    folder: str

    @property
    def url(self) -> str:
        return (os.environ.get(BASE_VARIABLE) or BASE).rstrip("/") + "/" + self.path

    @property
    def target(self) -> Path:
        """Path of the complete zip."""
        return settings().workspace / "downloads" / self.path.rpartition("/")[2]

    @property
    def partial(self) -> Path:
        return self.target.with_name(self.target.name + ".partial")


def _movielens(key: str, title: str, size: int, license: str, folder: str | None = None) -> Download:
    return Download(key, title, f"movielens/{key}.zip", size, 2 * size + (10 << 20), license, "movielens", folder or key)


DOWNLOADS = {
    one.key: one
    for one in (
        _movielens("ml-100k", "MovieLens 100K", 4_924_029, _OLD),
        _movielens("ml-latest-small", "MovieLens latest, small", 978_202, _NEW),
        _movielens("ml-1m", "MovieLens 1M", 5_917_549, _OLD),
        _movielens("ml-10m", "MovieLens 10M", 65_566_137, _OLD, "ml-10M100K"),
        _movielens("ml-20m", "MovieLens 20M", 198_702_078, _NEW),
        _movielens("ml-25m", "MovieLens 25M", 261_978_986, _NEW),
        _movielens("ml-32m", "MovieLens 32M", 238_950_008, _NEW),
        Download(
            "learning-from-sets-2019", "Learning from Sets of Items", "learning-from-sets-2019/learning-from-sets-2019.zip",
            7_000_000, 100_000_000, _CC_BY, "sets", "learning-from-sets-2019",
        ),
    )
}  # fmt: skip


class DownloadSpec(Spec):
    """A download of one of the public data sets."""

    key: str = Field(description="Which data set, such as ml-1m")

    @field_validator("key")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in DOWNLOADS:
            raise ValueError(f"There is no download {value[:80]!r}; choose {', '.join(DOWNLOADS)}.")
        return value

    @property
    def wanted(self) -> Download:
        return DOWNLOADS[self.key]


def downloaded(key: str) -> Path | None:
    """Path of the complete zip, for a source's `path`; None without one. A zip that was put there by hand counts."""
    target = DownloadSpec(key=key).wanted.target
    return target if target.is_file() and zipfile.is_zipfile(target) else None


def fetch(wanted: Download, report_progress: ReportProgress) -> Path:
    """Download a data set, or resume an interrupted download; returns at once when it is complete.

    Raises:
        ConnectionError: the server cannot be reached; the next call resumes from the bytes received.
        ValueError: the file is too large, or not the published one; it is deleted. LockError: another run is downloading it.
    """
    import requests

    if path := downloaded(wanted.key):
        return path
    name = f"{wanted.target.parent.name}/{wanted.target.name}.lock"
    with locks.held(name, 0, f"The download of {wanted.title}"), requests.Session() as session:
        report_progress("connecting", 0, wanted.bytes, None)
        published = _with_retries(wanted, lambda: _published_md5(session, wanted))
        _with_retries(wanted, lambda: _stream(session, wanted, report_progress))
        _verify(wanted, published, report_progress)
        os.replace(wanted.partial, wanted.target)
        _facts(wanted).unlink(missing_ok=True)
    return wanted.target


def _with_retries(wanted: Download, work: Callable[[], T]) -> T:
    """Call `work` until it succeeds: retry after network errors, as long as bytes keep coming."""
    import requests

    faults = 0
    while True:
        before = _size(wanted.partial)
        try:
            return work()
        except requests.RequestException as error:
            faults = 1 if _size(wanted.partial) > before else faults + 1
            if faults >= TRIES or not _may_succeed(error):
                raise ConnectionError(_advice(wanted, _reason(error))) from error
            time.sleep(faults)


def _may_succeed(error: Exception) -> bool:
    """Whether a retry may succeed: not after a final answer of the server."""
    answer = getattr(error, "response", None)
    return answer is None or answer.status_code >= 500 or answer.status_code in (408, 429)


def _reason(error: Exception) -> str:
    if (answer := getattr(error, "response", None)) is not None:
        return f"the server answers {answer.status_code} {answer.reason}"
    text = str(error)
    known = {
        "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not accepted (it may have expired)",
        "Name or service not known": "the server's name is not known here, so there may be no network",
        "Temporary failure in name resolution": "the server's name cannot be looked up, so there may be no network",
        "Connection refused": "nothing answers there",
        "timed out": "the server does not answer in time",
    }
    return next((plain for mark, plain in known.items() if mark in text), f"the connection failed ({type(error).__name__})")


def _advice(wanted: Download, why: str) -> str:
    return (
        f"{wanted.title} could not be downloaded from {wanted.url}: {why}. Try again to resume, put the zip at "
        f"{wanted.target} yourself, or set {BASE_VARIABLE} to a mirror of {BASE}."
    )


def _published_md5(session: "Session", wanted: Download) -> str | None:
    """The published checksum of the file; None where there is none, as for files that change over time."""
    with session.get(wanted.url + ".md5", timeout=TIMEOUT_S, stream=True) as answer:
        if 400 <= answer.status_code < 500:
            return None
        answer.raise_for_status()
        text = next(answer.iter_content(1000), b"").decode("latin-1")
    checksum = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    return checksum[0].lower() if checksum else None


def _stream(session: "Session", wanted: Download, report_progress: ReportProgress) -> None:
    """Download the rest of the partial file, or all of it if the file on the server has changed."""
    start, facts = _resumable(wanted)
    if start and start == facts.get("total"):
        return
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": facts["validator"]}
    with session.get(wanted.url, headers=headers, timeout=TIMEOUT_S, stream=True) as answer:
        if answer.status_code == 416:  # the file on the server is shorter than our part
            wanted.partial.unlink()
            return _stream(session, wanted, report_progress)
        answer.raise_for_status()
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
        if answer.status_code == 206 and span and int(span[1]) == start:
            total = int(span[2])
        else:  # the whole file: it changed, or the server does not support ranges
            start, total = 0, int(answer.headers.get("Content-Length", 0))
        _make_room(wanted, total, start)
        tag = answer.headers.get("ETag", "W/")
        validator = answer.headers.get("Last-Modified") if tag.startswith("W/") else tag
        write_json(_facts(wanted), {"url": wanted.url, "validator": validator, "total": total})
        _write(answer, wanted, start, total, report_progress)


def _resumable(wanted: Download) -> tuple[int, dict[str, Any]]:
    """Bytes of the partial file that can be resumed from, with the address, version and full length they belong to."""
    try:
        facts: dict[str, Any] = json.loads(_facts(wanted).read_text())
    except (OSError, ValueError):
        return 0, {}
    return (_size(wanted.partial) if facts.get("url") == wanted.url and facts.get("validator") else 0), facts


def _write(answer: "Response", wanted: Download, start: int, total: int, report_progress: ReportProgress) -> None:
    import requests

    done, began = start, time.monotonic()
    with wanted.partial.open("ab" if start else "wb") as file:
        for piece in answer.iter_content(CHUNK):
            done += len(piece)
            if done > wanted.max_bytes:
                break
            file.write(piece)
            report_progress("downloading", done, total, (done - start) / max(time.monotonic() - began, 1e-3))
    if done > wanted.max_bytes:
        _discard(wanted)
        raise ValueError(_too_large(wanted))
    if done < total:
        raise requests.ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")


def _make_room(wanted: Download, total: int, start: int) -> None:
    if total > wanted.max_bytes:
        _discard(wanted)
        raise ValueError(_too_large(wanted))
    free = shutil.disk_usage(wanted.target.parent).free
    if total - start > free:
        raise OSError(
            f"{wanted.title} needs {(total - start) >> 20:,} MiB more and {wanted.target.parent} has {free >> 20:,} MiB; free some space."
        )


def _too_large(wanted: Download) -> str:
    return (
        f"{wanted.url} is larger than {wanted.max_bytes >> 20:,} MiB, more than {wanted.title} has; the file was deleted. "
        f"Is {BASE_VARIABLE} a mirror of {BASE}?"
    )


def _verify(wanted: Download, published: str | None, report_progress: ReportProgress) -> None:
    """Compare the published checksum, where there is one, and read every member of the zip; delete a file that fails."""
    size = _size(wanted.partial)
    if published:
        report_progress("checking", 0, size, None)
        with wanted.partial.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != published:
            _discard(wanted)
            raise ValueError(
                f"The file from {wanted.url} has MD5 {digest}, not {published} as published; it was deleted. Download it again."
            )
    try:
        with zipfile.ZipFile(wanted.partial) as opened:
            if sum(member.file_size for member in opened.infolist()) > MOST_UNPACKED:
                raise zipfile.BadZipFile(f"unpacks to more than {MOST_UNPACKED >> 30} GiB")
            for k, member in enumerate(opened.infolist()):
                report_progress("checking the zip", k, len(opened.infolist()), None)
                with opened.open(member) as file:
                    while file.read(1 << 20):  # reading to the end verifies the checksum of the member
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        _discard(wanted)
        raise ValueError(f"The file from {wanted.url} is not a complete zip file ({error}); it was deleted. Download it again.") from error


def _facts(wanted: Download) -> Path:
    return wanted.partial.with_name(wanted.partial.name + ".json")


def _discard(wanted: Download) -> None:
    wanted.partial.unlink(missing_ok=True)
    _facts(wanted).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
