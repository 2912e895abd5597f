"""recbench ui: the workbench in a browser."""

import argparse
import ipaddress
import json
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from engine.cli.annotations import Add

APP = Path(__file__).resolve().parents[2] / "ui" / "app.py"
PORT = 8501
LOOPBACK = "127.0.0.1"


def register(add: Add) -> None:
    """Add the command."""
    command = add("ui", open_workbench, "Open the workbench in a browser (the default).")
    command.add_argument("--port", type=int, help=f"port; default: {PORT} or the next free one")
    command.add_argument(
        "--host",
        default=LOOPBACK,
        help="address to listen on. The workbench asks nobody for a password: any other than 127.0.0.1 belongs behind a proxy that does",
    )


def open_workbench(args: argparse.Namespace) -> NoReturn:
    """Become the server of the pages, on loopback unless another address is given."""
    from engine import runs
    from engine.settings import settings

    runs.settle_all()  # such as runs whose driver died with the machine
    host, port = _address(args.host), args.port or _free_port()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    print(f"Workbench on {url} (workspace {settings().workspace}). Ctrl-C stops the workbench; runs continue.", flush=True)
    if host != LOOPBACK:
        print(f"Whoever reaches {host}:{port} uses this workbench as {settings().who}: let a proxy ask for passwords.", flush=True)
    options = {
        "server.address": host, "server.port": port, "server.headless": True, "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
    }  # fmt: skip
    if host != LOOPBACK:
        options["server.allowedHosts"] = "*"  # the proxy's name, which cannot be known here
    flags = [f"--{name}={str(value).lower()}" for name, value in options.items()]
    # Streamlit reads ui/.streamlit/config.toml, and no .streamlit of the folder that this was started from
    environment = {**os.environ, **settings().inherited}  # the folder that this was started from stays one to read from
    if args.json:
        print(json.dumps({"url": url}), flush=True)
    os.chdir(APP.parents[1])
    # this process becomes Streamlit's: whatever ends it, SIGKILL too, frees the port
    os.execve(sys.executable, [sys.executable, "-m", "streamlit", "run", str(APP), *flags], environment)


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError(f"--host {host[:80]!r} is no IP address; give one of this machine, such as 127.0.0.1 or 0.0.0.0.") from None


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
