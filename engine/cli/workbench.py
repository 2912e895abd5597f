"""recbench ui: the workbench in a browser."""

import argparse
import json
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from engine.cli.annotations import Add

APP = Path(__file__).resolve().parents[2] / "ui" / "app.py"
PORT = 8501


def register(add: Add) -> None:
    """Add the command."""
    command = add("ui", open_workbench, "Open the workbench in a browser (the default).")
    command.add_argument("--port", type=int, help=f"port on 127.0.0.1; default: {PORT} or the next free one")


def open_workbench(args: argparse.Namespace) -> NoReturn:
    """Become the server of the pages, on loopback."""
    from engine import runs
    from engine.settings import settings

    runs.settle_all()  # such as runs whose driver died with the machine
    port = args.port or _free_port()
    url = f"http://127.0.0.1:{port}"
    print(f"Workbench on {url} (workspace {settings().workspace}). Ctrl-C stops the workbench; runs continue.", flush=True)
    options = {
        "server.address": "127.0.0.1", "server.port": port, "server.headless": True, "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
    }  # fmt: skip
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    # Streamlit reads ui/.streamlit/config.toml, and no .streamlit of the folder that this was started from
    environment = {**os.environ, **settings().inherited}  # the folder that this was started from stays one to read from
    if args.json:
        print(json.dumps({"url": url}), flush=True)
    os.chdir(APP.parents[1])
    # this process becomes Streamlit's: whatever ends it, SIGKILL too, frees the port
    os.execve(sys.executable, [sys.executable, "-m", "streamlit", "run", str(APP), *flags], environment)


def _free_port() -> int:
    for port in [*range(PORT, PORT + 50), 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
            except OSError:
                continue
    raise RuntimeError("No free port on 127.0.0.1; choose one with --port.")
