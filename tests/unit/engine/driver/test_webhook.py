"""The webhook: one POST with how a run ended, of which no failure reaches the run."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from engine.driver import webhook
from engine.settings import SettingsError, settings
from workers.specs import mask


@pytest.fixture
def heard() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server of this host, and what it was sent."""
    bodies: list[bytes] = []

    class Hears(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(302 if self.path == "/moved" else 500 if self.path == "/broken" else 200)
            self.send_header("Location", "/other")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hears)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(workspace: Path) -> Path:
    folder = workspace / "runs" / "a"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"title": "DLRM"}')
    (folder / "done.json").write_text('{"metrics": {"auc": 0.8, "made_up": 1}}')
    return folder


def test_how_a_run_ended_is_sent_once(run: Path, heard: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    address, bodies = heard
    monkeypatch.setenv("RECBENCH_WEBHOOK", f"{address}/hidden-path")
    webhook.tell("a", run, "train", "FINISHED", None).join(20)
    webhook.tell("a", run, "train", "FAILED", "Loss of s3a://me:hush@bucket is nan\nmore").join(20)
    first, second = map(json.loads, bodies)
    assert first == {
        "text": "DLRM finished", "run": "a", "kind": "train", "title": "DLRM", "status": "FINISHED", "message": None,
        "metrics": {"auc": 0.8},
    }  # fmt: skip
    assert second["text"] == "DLRM failed: Loss of s3a://me:…@bucket is nan"
    assert "hidden-path" not in mask(f"error at {address}/hidden-path")


@pytest.mark.parametrize("path", ["/moved", "/broken"])
def test_a_failure_is_logged_without_the_address(
    run: Path, heard: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    address, bodies = heard
    monkeypatch.setenv("RECBENCH_WEBHOOK", address + path)
    with caplog.at_level(logging.WARNING, "engine.driver"):
        webhook.tell("a", run, "train", "FINISHED", None).join(20)
    assert len(bodies) == 1
    assert "the webhook did not take it" in caplog.text and path not in caplog.text


def test_without_an_address_nothing_is_sent(run: Path, heard: tuple[str, list[bytes]]) -> None:
    webhook.tell("a", run, "train", "FINISHED", None).join(20)
    assert heard[1] == []


@pytest.mark.parametrize("wrong", ["file:///etc/passwd", "ftp://host/x", "https://", "hook"])
def test_only_addresses_of_the_web_are_taken(workspace: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("RECBENCH_WEBHOOK", wrong)
    with pytest.raises(SettingsError, match="begins with https:// or http://"):
        settings()
