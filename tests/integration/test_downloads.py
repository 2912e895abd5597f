"""Downloads from a server of this machine: whole, resumed, wrong, too large, gone; and as runs, from click to verdict."""

import hashlib
import io
import re
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import engine
from engine.cli import main
from engine.datasets.downloads import BASE_VARIABLE, DOWNLOADS, DownloadSpec, downloaded, fetch
from tests.commands import until

KEY = "ml-latest-small"
WANTED = DOWNLOADS[KEY]


def release(films: int = 2000, first: int = 0) -> bytes:
    """A small MovieLens release as a zip; its bytes do not compress, so that it takes a while on its way."""
    titles = "".join(f"{k},Film {hashlib.sha256(str(k).encode()).hexdigest()} (1999),Drama\n" for k in range(first, first + films))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(f"{KEY}/ratings.csv", "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n")
        opened.writestr(f"{KEY}/movies.csv", "movieId,title,genres\n" + titles)
    return packed.getvalue()


class Server:
    """What a mirror serves, and how it misbehaves."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges, self.status, self.etag = True, 200, '"one"'
        self.cut: int | None = None  # the connection ends after so many bytes of an answer
        self.pause_s = 0.0  # between two pieces
        self.length = True
        self.asked: list[tuple[str, str | None]] = []  # path and range

    def publish(self, content: bytes, md5: str | None = None) -> None:
        self.files = {f"/movielens/{KEY}.zip": content}
        if md5:
            self.files[f"/movielens/{KEY}.zip.md5"] = f"MD5 ({KEY}.zip) = {md5}\n".encode()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        span, content = handler.headers.get("Range"), self.files.get(handler.path)
        self.asked.append((handler.path, span))
        if content is None or self.status != 200:
            return handler.send_error(404 if content is None else self.status)
        start = 0
        if self.ranges and span and handler.headers.get("If-Range") in (None, self.etag):
            start = int(re.fullmatch(r"bytes=(\d+)-", span)[1])  # type: ignore[index]
        if start >= len(content):
            return handler.send_error(416)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("ETag", self.etag)
        if self.length:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        sent = content[start:] if self.cut is None or handler.path.endswith(".md5") else content[start : start + self.cut]
        for k in range(0, len(sent), 8192):
            handler.wfile.write(sent[k : k + 8192])
            handler.wfile.flush()
            time.sleep(self.pause_s)


@pytest.fixture
def server(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A mirror on this machine, which downloads of this test come from."""
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                served.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    monkeypatch.setenv(BASE_VARIABLE, f"http://127.0.0.1:{listening.server_port}/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    listening.shutdown()
    listening.server_close()


class Told(list[tuple[str, int, int, float | None]]):
    def __call__(self, phase: str, done: int, total: int, rate: float | None) -> None:
        self.append((phase, done, total, rate))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def left() -> set[str]:
    return {path.name for path in WANTED.target.parent.iterdir() if path.suffix != ".lock"}


def test_a_download_is_whole_checked_and_a_source(server: Server) -> None:
    content, told = release(), Told()
    server.publish(content, md5(content))
    assert downloaded(KEY) is None
    path = fetch(WANTED, told)
    assert downloaded(KEY) == path
    assert path.read_bytes() == content
    assert left() == {f"{KEY}.zip"}, "nothing half is left"
    phases = [phase for phase, *_ in told]
    assert list(dict.fromkeys(phases)) == ["connecting", "downloading", "checking", "checking the zip"]
    last = [t for t in told if t[0] == "downloading"][-1]
    assert last[1:3] == (len(content), len(content))
    assert last[3] and last[3] > 0
    source = engine.sources.SOURCES[WANTED.source_kind].model_validate({"path": str(path)})
    source.check()
    assert len(source.frame()) == 1
    asked = len(server.asked)
    assert fetch(WANTED, told) == path
    assert len(server.asked) == asked, "what is there is not asked for again"


def broken_off(server: Server, content: bytes) -> int:
    """Break a download off on its way; returns the bytes that have come."""

    class Stop(BaseException):
        pass

    def stop(phase: str, done: int, total: int, rate: float | None) -> None:
        if done >= 60_000:
            raise Stop

    server.publish(content)
    with pytest.raises(Stop):
        fetch(WANTED, stop)
    assert downloaded(KEY) is None
    server.asked.clear()
    return WANTED.partial.stat().st_size


def test_a_download_goes_on_where_it_broke_off(server: Server) -> None:
    content = release()
    have = broken_off(server, content)
    assert 0 < have < len(content)
    assert fetch(WANTED, Told()).read_bytes() == content
    assert (f"/movielens/{KEY}.zip", f"bytes={have}-") in server.asked
    assert left() == {f"{KEY}.zip"}


def _no_ranges(server: Server) -> None:
    server.ranges = False


def _another_file(server: Server) -> None:
    server.etag = '"two"'
    server.publish(release(2500, first=2000))


def _shorter_file(server: Server) -> None:
    server.publish(release(10))


@pytest.mark.parametrize("change", [_no_ranges, _another_file, _shorter_file])
def test_a_download_starts_over_when_it_cannot_go_on(server: Server, change: Callable[[Server], None]) -> None:
    broken_off(server, release())
    change(server)
    assert fetch(WANTED, Told()).read_bytes() == server.files[f"/movielens/{KEY}.zip"]


def test_a_connection_that_keeps_ending_is_taken_up_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda s: None)
    content = release()
    server.publish(content, md5(content))
    server.cut = len(content) // 3 + 1
    assert fetch(WANTED, Told()).read_bytes() == content
    assert len([path for path, span in server.asked if span]) >= 2


def test_a_wrong_checksum_leaves_nothing(server: Server) -> None:
    content = release()
    server.publish(content, md5(b"something else"))
    with pytest.raises(ValueError, match=f"MD5 {md5(content)}, not {md5(b'something else')} as published"):
        fetch(WANTED, Told())
    assert left() == set()
    assert downloaded(KEY) is None


@pytest.mark.parametrize("damage", ["torn", "flipped", "page"])
def test_what_is_not_a_whole_zip_leaves_nothing_even_without_a_checksum(server: Server, damage: str) -> None:
    content = release()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    server.publish({"torn": content[:middle], "flipped": flipped, "page": b"<html>Please log in</html>"}[damage])
    with pytest.raises(ValueError, match="not a complete zip file"):
        fetch(WANTED, Told())
    assert left() == set()


@pytest.mark.parametrize("told", [True, False], ids=["told", "found out on the way"])
def test_what_is_too_large_is_refused(server: Server, told: bool) -> None:
    server.publish(b"PK" + bytes(WANTED.max_bytes + (1 << 20)))
    server.length = told
    with pytest.raises(ValueError, match=r"larger than 11 MiB"):
        fetch(WANTED, phases := Told())
    assert max(done for _, done, _, _ in phases) <= WANTED.max_bytes
    assert left() == set()


def test_without_a_server_or_a_file_one_sentence_says_what_to_do(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionError, match="the server answers 404") as error:
        fetch(WANTED, Told())
    for part in (WANTED.title, WANTED.url, str(WANTED.target), BASE_VARIABLE):
        assert part in str(error.value)
    assert len(server.asked) == 2, "the server's no is not asked for again"
    monkeypatch.setattr(time, "sleep", lambda s: None)
    server.publish(release())
    server.status = 503
    with pytest.raises(ConnectionError, match="the server answers 503"):
        fetch(WANTED, Told())
    monkeypatch.setenv(BASE_VARIABLE, "http://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match="nothing answers there"):
        fetch(WANTED, Told())
    monkeypatch.setenv(BASE_VARIABLE, "http://mirror.invalid/")
    with pytest.raises(ConnectionError, match="no network"):
        fetch(WANTED, Told())


def test_a_zip_put_there_by_hand_counts(server: Server) -> None:
    WANTED.target.parent.mkdir(parents=True)
    WANTED.target.write_bytes(b"no zip")
    assert downloaded(KEY) is None
    WANTED.target.write_bytes(release())
    assert fetch(WANTED, Told()) == downloaded(KEY) == WANTED.target
    assert server.asked == []


def test_every_download_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BASE_VARIABLE, raising=False)
    for key, found in DOWNLOADS.items():
        assert DownloadSpec(key=key).wanted is found
        assert re.fullmatch(r"https://files\.grouplens\.org/datasets/[a-z0-9/-]+\.zip", found.url)
        assert 0 < found.bytes < found.max_bytes < 1 << 30
        assert found.license.endswith(".")
        assert found.source_kind in engine.sources.SOURCES
    with pytest.raises(ValueError, match="There is no download 'ml-3m'; choose ml-100k"):
        DownloadSpec(key="ml-3m")


@pytest.mark.slow
@pytest.mark.thorough
def test_a_download_is_a_run_that_is_cancelled_and_taken_up_again(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    content = release()
    server.publish(content, md5(content))
    server.pause_s = 1.0
    run_id = engine.runs.submit(DownloadSpec(key=KEY))
    assert engine.runs.submit(DownloadSpec(key=KEY)) == run_id, "one download of a thing at a time"
    until(lambda: (p := engine.runs.get_run(run_id).progress) and p.phase == "downloading" and p.eta_s)
    run = engine.runs.get_run(run_id)
    assert (run.kind, run.state, run.title) == ("download", engine.runs.RunState.RUNNING, f"Download {WANTED.title}")
    assert run.progress and run.progress.total == len(content)
    until(lambda: WANTED.partial.stat().st_size)
    engine.runs.cancel(run_id)
    assert engine.runs.get_run(run_id).state == engine.runs.RunState.CANCELLED
    have = WANTED.partial.stat().st_size
    assert downloaded(KEY) is None
    server.pause_s = 0.0
    main(["download", KEY])
    assert str(WANTED.target) in capsys.readouterr().out
    assert WANTED.target.read_bytes() == content
    assert (f"/movielens/{KEY}.zip", f"bytes={have}-") in server.asked
    newest = engine.runs.list_runs()[0]
    assert (newest.state, newest.resources["bytes"]) == (engine.runs.RunState.FINISHED, len(content))


@pytest.mark.slow
@pytest.mark.thorough
def test_a_download_waits_for_nobody_and_nobody_for_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.driver import queue

    server.publish(release())
    server.pause_s = 1.0
    run_id = engine.runs.submit(DownloadSpec(key=KEY))
    until(lambda: (p := engine.runs.get_run(run_id).progress) and p.phase == "downloading")
    assert queue._take_slot(), "the one slot is free"
    assert not list(engine.settings.settings().runs.glob("*/ticket.json"))
    engine.runs.cancel(run_id)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_failed_download_says_why(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["download", KEY])
    assert "the server answers 404" in capsys.readouterr().err
    assert engine.runs.list_runs("download")[0].state == engine.runs.RunState.FAILED
    main(["download"])
    listed = capsys.readouterr().out
    assert all(key in listed for key in DOWNLOADS)
