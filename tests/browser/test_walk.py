"""A user's first hour, by mouse in a real browser against a real server: Data, Train, Compare, Recommend on generated ratings."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome found: install Debian's chromium, or set CHROMIUM to one"),
]
MINUTES = 60_000
expect.set_options(timeout=MINUTES)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The workbench as `recbench` starts it, from a folder that is not the project's, on the workspace in that folder; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "RECBENCH_WORKSPACE": str(folder / "workspace")}
    words = [sys.executable, "-c", "from engine.cli import main; main()", "ui", "--port", str(port)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        with suppress(ProcessLookupError):  # a test has killed it
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The workbench on an empty workspace."""
    with serving(tmp_path_factory.mktemp("server")) as url:
        yield url


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.3)


@contextmanager
def browsing(server: str, tmp_path: Path) -> Iterator[Page]:
    """A page of a browser of its own."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1000}, base_url=server)
        page.set_default_timeout(30_000)
        try:
            yield page
        finally:
            page.screenshot(path=str(tmp_path / "last.png"), full_page=True)
            browser.close()


@pytest.fixture
def page(server: str, tmp_path: Path) -> Iterator[Page]:
    with browsing(server, tmp_path) as page:
        yield page


def fill(page: Page, label: str, value: str) -> None:
    box = page.get_by_label(label, exact=True).first
    box.fill(value)
    box.press("Enter")


def sound(page: Page) -> None:
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.fault("F01", "F63")
def test_data_train_compare_recommend(page: Page, server: str) -> None:
    page.goto("/")
    expect(page.get_by_role("button", name="Load sample ratings and compare")).to_be_visible()
    page.get_by_role("link", name="Data", exact=True).first.click()
    page.get_by_role("button", name="Prepare a dataset").or_(page.get_by_text("New dataset")).first.click()
    page.get_by_text("Sample ratings", exact=True).first.click()
    expect(page.get_by_text("Users to rank for").first).to_be_visible()
    prepare = page.get_by_role("button", name="Prepare", exact=True)
    expect(prepare).to_have_count(1)  # while the page is drawn anew, its last drawing is still there
    prepare.click()
    # the page may be left and come back to: no page owns the run
    expect(page.get_by_text(re.compile("starting Spark|numbering|writing", re.I)).first).to_be_visible()
    page.goto("/")
    expect(page.get_by_text(re.compile("preparing", re.I)).first).to_be_visible()
    page.goto("/data")
    page.get_by_role("link", name="Train on a dataset").click(timeout=3 * MINUTES)
    sound(page)
    expect(page.get_by_role("button", name="Launch 2 runs")).to_be_enabled()
    fill(page, "Epochs", "3")
    page.get_by_role("button", name="Launch 2 runs").click()
    page.get_by_role("link", name="Compare them").click(timeout=5 * MINUTES)
    sound(page)

    expect(page.get_by_role("heading", name="Metrics on test")).to_be_visible()
    assert "runs=" in page.url
    for name in ("NDCG@10", "AUC", "Popularity"):
        expect(page.get_by_text(name).first).to_be_visible()
    shared = page.url
    page.get_by_role("link", name=re.compile("What would they recommend")).click()
    expect(page.get_by_text("Two-tower").first).to_be_visible()
    expect(page.get_by_text(re.compile("held.out|went on to like", re.I)).first).to_be_visible(timeout=MINUTES)
    expect(page.get_by_text(re.compile(r"User u?\d+")).first).to_be_visible()
    sound(page)

    page.goto(shared)  # an address shows the same comparison in another tab
    expect(page.get_by_role("heading", name="Metrics on test")).to_be_visible()
    page.goto("/compare?runs=" + "x" * 10_000)
    expect(page.get_by_text(re.compile("There is no|unknown|not here", re.I)).first).to_be_visible()
    sound(page)


def handshake(server: str, **headers: str) -> int:
    """The status of a websocket handshake: all that a page shows and does goes through that socket."""
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=10)
    connection.request("GET", "/_stcore/stream", headers=upgrade | headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.fault("F69")
def test_foreign_hosts_and_other_sites_are_refused(server: str) -> None:
    assert handshake(server, Origin=server) == 101
    assert handshake(server, Host="evil.example") == 403
    assert handshake(server, Origin="http://evil.example") == 403


def test_the_server_listens_on_loopback_alone(server: str) -> None:
    port = int(server.rsplit(":", 1)[1])
    bound = {c.laddr.ip for c in psutil.net_connections("tcp") if c.laddr.port == port and c.status == psutil.CONN_LISTEN}
    assert bound == {"127.0.0.1"}


def test_no_file_of_the_project_is_served(server: str) -> None:
    for path in ("/../pyproject.toml", "/app/static/../../app.py", "/%2e%2e/pyproject.toml"):
        try:
            with urllib.request.urlopen(server + path, timeout=10) as answer:
                assert b"recommender-workbench" not in answer.read()
        except urllib.error.HTTPError as error:
            assert error.code >= 400
    assert Path(__file__).is_file()
