"""The workbench started from a folder that is not the project's, out of a built wheel and out of a clone: what its server says."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ui", "engine", "workers")
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
START_S = 120
pytestmark = pytest.mark.slow


RECBENCH = ("-c", "from engine.cli import main; main()", "ui", "--port")
STREAMLIT = ("-m", "streamlit", "run", "ui/app.py", "--server.port")


class Started(NamedTuple):
    """A running workbench: where its code lies, and its address."""

    home: Path
    host: str
    port: int


def uv(*words: str | Path) -> None:
    """Run uv out of its cache, which holds what this environment was built with; where the cache was emptied, from the network."""
    program = os.environ.get("UV") or shutil.which("uv")
    if program is None:
        pytest.skip("uv is not on the PATH: pip install uv")
    for more in (["--offline"], []):
        ended = subprocess.run([program, *map(str, words), *more], cwd=ROOT, capture_output=True, text=True, timeout=300)
        if ended.returncode == 0:
            return
    pytest.fail(ended.stderr)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", folder)
    return next(folder.glob("*.whl"))


def installed(wheel: Path, folder: Path) -> Path:
    """The wheel alone in an empty folder."""
    uv("pip", "install", "--no-deps", "--python", sys.executable, "--target", folder, wheel)
    return folder


@pytest.fixture(params=[("wheel", RECBENCH), ("clone", RECBENCH), ("clone", STREAMLIT)], ids=["wheel", "clone", "streamlit run"])
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Started]:
    """The workbench, started from a folder that is neither the project's nor the wheel's; the dependencies are this interpreter's."""
    where, command = request.param
    home = ROOT if where == "clone" else installed(request.getfixturevalue("wheel"), tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(home), "RECBENCH_WORKSPACE": str(tmp_path / "workspace")}
    words = [sys.executable, *(str(home / word) if word.startswith("ui/") else word for word in command), str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=elsewhere, env=environment, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_S
    try:
        while not _answers(port):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.3)
        yield Started(home, "127.0.0.1", port)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
            return True
    except OSError:
        return False


def upload_status(server: Started, session_id: str, declared: int, body: bytes | None = None) -> int:
    """What the server answers to a file of `declared` bytes, of which `body` alone is sent."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request("GET", "/_stcore/health")
    answer = connection.getresponse()
    answer.read()
    token = answer.headers["Set-Cookie"].split(";")[0].partition("=")[2]
    headers = {"Cookie": f"_streamlit_xsrf={token}", "X-Xsrftoken": token.strip('"'), "Content-Length": str(declared)}
    headers |= {"Content-Type": "multipart/form-data; boundary=x"}
    connection.request("PUT", f"/_stcore/upload_file/{session_id}/{urllib.parse.quote('a-file')}", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def theme_of(message: Any) -> dict[str, Any]:
    """A theme of Streamlit's protocol under the names of config.toml."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message)


def test_address_theme_and_upload_limit_hold_from_whatever_folder_it_is_started(started: Started) -> None:
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    bound = {c.laddr.ip for c in psutil.net_connections("tcp") if c.laddr.port == started.port and c.status == psutil.CONN_LISTEN}
    assert bound == {CONFIG["server"]["address"]} == {"127.0.0.1"}

    address = f"{started.host}:{started.port}"
    with connect(f"ws://{address}/_stcore/stream", subprotocols=["streamlit"], origin=f"http://{address}", max_size=None) as page:  # type: ignore[arg-type, list-item]
        hello, answer = BackMsg(), ForwardMsg()
        hello.rerun_script.query_string = ""
        page.send(hello.SerializeToString())
        answer.ParseFromString(page.recv(timeout=60))  # type: ignore[arg-type]
        session = answer.new_session
        assert Path(session.main_script_path) == started.home / "ui" / "app.py"

        shown, wanted = theme_of(session.custom_theme), CONFIG["theme"]
        for name in ("light", "dark"):
            assert {key: value for key, value in shown[name].items() if key in wanted[name]} == wanted[name]
        assert (shown["baseFontSize"], shown["baseRadius"], shown["paddingTop"]) == (15, wanted["baseRadius"], wanted["paddingTop"])
        assert answer.new_session.config.ToolbarMode.Name(session.config.toolbar_mode).lower() == CONFIG["client"]["toolbarMode"]

        limit = CONFIG["server"]["maxUploadSize"] * 1024 * 1024
        session_id = session.initialize.session_id
        file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nuser,item\r\n--x--\r\n'
        assert upload_status(started, session_id, len(file), file) == 204
        assert upload_status(started, session_id, limit + 1) == 413


def test_a_wheel_carries_every_file_of_the_packages_and_the_settings_of_the_server(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        settings = packed.read("ui/.streamlit/config.toml")
        entry = packed.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert settings == (ROOT / ".streamlit" / "config.toml").read_bytes()
    assert "recbench = engine.cli:main" in entry
    there = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = {path.relative_to(ROOT).as_posix() for path in there} - names
    assert not missing
    read = ("engine/report/page.html.j2", "ui/shared/style.css", "ui/help/protocol.md", "ui/assets/compare.png")
    for wanted in ("engine/runs/__init__.pyi", *read):
        assert wanted in names, wanted
