"""A store that is damaged, locked, read-only, newer, or does not answer: one sentence with the way out, in page and command line."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import StoreError, store
from engine.specs import MODELS, RunSpec
from tests.commands import asked, until
from tests.pages.reading import opened, plainly

SECRET, MASK = "hunter2", "…"


def garbage(database: Path) -> None:
    database.write_bytes(b"this is no database at all\n" * 400)


def truncated(database: Path) -> None:
    with sqlite3.connect(database) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        file.truncate(database.stat().st_size // 3)


def newer(database: Path) -> None:
    with sqlite3.connect(database) as opened:
        opened.execute("UPDATE alembic_version SET version_num = 'f00f00f00f00'")


def older(database: Path) -> None:
    with sqlite3.connect(database) as opened:
        opened.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")


SPOILT: list[tuple[Callable[[Path], None], str]] = [
    (garbage, "is damaged (file is not a database)"),
    (truncated, "is damaged"),
    (newer, "was written by a newer MLflow (schema f00f00f00f00)"),
    (older, "was written by an older MLflow: copy it, then run `mlflow db upgrade sqlite:///"),
]


def way_out(workspace: Path) -> str:
    return f"`mkdir -p {workspace}/store-aside && mv {workspace}/mlflow.db* {workspace}/store-aside/ && recbench adopt`"


def finished(workspace: Path) -> str:
    """A run with a folder."""
    spec = RunSpec(dataset="films-0123456789ab", model=MODELS["ease"]())
    run_id = store.create("train", spec.title, spec, {"dataset": spec.dataset, "model": "ease"})
    folder = workspace / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    (folder / "verdict.json").write_text('{"status": "FINISHED", "message": null, "time": 1.0}')
    store.set_status(run_id, "FINISHED")
    return run_id


def shown(at: AppTest) -> str:
    assert not at.exception, at.exception
    return plainly(" ".join(error.value for error in at.error))


@pytest.mark.fault("F29", "F66")
@pytest.mark.parametrize("spoil, says", SPOILT, ids=lambda given: getattr(given, "__name__", ""))
def test_a_spoilt_store_is_a_sentence_everywhere_and_its_way_out_works(
    workspace: Path, spoil: Callable[[Path], None], says: str, record_property: Any
) -> None:
    run_id = finished(workspace)
    store.opened.forget()
    spoil(workspace / "mlflow.db")
    began = time.monotonic()
    said = asked("runs", fails=True)["error"]
    record_property("truth_s", time.monotonic() - began)
    assert says in said and way_out(workspace) in said
    for page in ("home", "runs", "compare", "train"):
        at = opened(page)
        assert says in shown(at) and at.button(key="store.again")
    command = at.code[-1].value
    assert f"`{command}`" == way_out(workspace)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
    adopt = f'"{sys.executable}" -c "from engine.cli import main; main()" adopt'
    ended = subprocess.run(
        ["bash", "-c", command.replace("recbench adopt", adopt)], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert [run.run_id for run in engine.runs.list_runs()] == [run_id]
    assert not shown(opened("home"))


@pytest.mark.fault("F66")
def test_a_store_that_becomes_spoilt_under_an_open_page_is_told_within_seconds(workspace: Path) -> None:
    """Once something is asked that SQLite has not in memory: at the latest when all runs are read again."""
    finished(workspace)
    at = opened("runs")
    assert not at.error
    garbage(workspace / "mlflow.db")
    for path in workspace.glob("mlflow.db-*"):
        path.unlink()
    until(lambda: any(said in shown(at.run()) for said in ("is damaged", "does not answer")), 30)


@contextlib.contextmanager
def immutable(path: Path) -> Iterator[None]:
    """A file that not even root may write to; skips where the file system has no such flag."""
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        if os.geteuid() == 0:
            pytest.skip("root may write to every file here: chattr +i is not possible")
        path.chmod(0o400)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], capture_output=True, check=False)
        path.chmod(0o600)


@pytest.mark.fault("F29")
def test_a_read_only_store_is_read_or_told_of_and_writing_to_it_is_a_sentence(workspace: Path) -> None:
    run_id = finished(workspace)
    with immutable(workspace / "mlflow.db"):
        assert [run["run_id"] for run in asked("runs")["runs"]] == [run_id]
        said = asked("rename", run_id, "Another", fails=True)["error"]
    assert "is read-only: make it and its folder writable" in said and way_out(workspace) in said


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    held = sqlite3.connect(database, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        held.rollback()
        held.close()


@pytest.mark.fault("F28", "F66")
def test_a_locked_store_is_read_and_writing_to_it_is_a_sentence(workspace: Path, record_property: Any) -> None:
    run_id = finished(workspace)
    with locked(workspace / "mlflow.db"):
        assert "EASE" in plainly(" ".join(element.value for element in opened("runs").markdown)) or not opened("runs").error
        assert [run["run_id"] for run in asked("runs")["runs"]] == [run_id]
        began = time.monotonic()
        said = asked("rename", run_id, "Another", fails=True)["error"]
        record_property("truth_s", time.monotonic() - began)
        assert "is locked by another process" in said and "try again in a moment" in said
    asked("rename", run_id, "Another")
    assert engine.runs.get_run(run_id).title == "Another"


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A tracking server that answers each request with an error, or never, by its `mood`."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.server.mood == "slow":  # type: ignore[attr-defined]
                time.sleep(30)
            with contextlib.suppress(OSError):
                self.send_response(500)
                self.end_headers()

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    running.daemon_threads = True
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.mark.fault("F30", "F66")
@pytest.mark.parametrize("mood, why", [("500", "error 500"), ("slow", "no answer in time"), ("down", "connection refused")])
def test_a_tracking_server_that_does_not_answer_is_told_of_in_seconds_without_its_password(
    workspace: Path, server: ThreadingHTTPServer, mood: str, why: str, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    server.mood = mood  # type: ignore[attr-defined]
    if mood == "down":
        server.socket.close()
    monkeypatch.setenv("RECBENCH_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:{server.server_port}")
    began = time.monotonic()
    with pytest.raises(StoreError) as refused:
        engine.runs.list_runs()
    record_property("truth_s", time.monotonic() - began)
    assert f"The tracking server http://me:{MASK}@127.0.0.1:{server.server_port} does not answer ({why})" in str(refused.value)
    said = shown(opened("home"))
    assert why in said and SECRET not in said and SECRET not in str(refused.value)


def test_the_workbenchs_own_store_lets_readers_and_a_writer_work_at_once(workspace: Path) -> None:
    run_id = finished(workspace)
    with sqlite3.connect(workspace / "mlflow.db") as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        engine.runs.rename(run_id, "While it is read")
    assert engine.runs.get_run(run_id).title == "While it is read"
