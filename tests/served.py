"""A registered model behind a stock `mlflow models serve`, in a fresh environment with the requirements that the model pins."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import psutil

from engine.settings import settings
from tests.ranks import free_port

READY_S = 900.0  # until a server answers: its environment is installed first


class Served(NamedTuple):
    """A server that answers."""

    port: int
    ready_s: float  # from the command to the first answer, with the installation
    process: subprocess.Popen[bytes]

    def ask(self, rows: list[dict[str, Any]], **params: Any) -> tuple[int, Any]:
        """Status and the predictions, or the record of the error."""
        body = json.dumps({"dataframe_records": rows, "params": params}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/invocations", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)["predictions"]
        except HTTPError as error:
            return error.code, json.load(error)

    @property
    def memory_mb(self) -> float:
        """Resident memory of the server's processes."""
        own = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in [own, *own.children(recursive=True)]) / (1 << 20)


@contextmanager
def serving(uri: str, folder: Path, workers: int = 1) -> Iterator[Served]:
    """Serve a model of the current store. folder: for the environment, which is kept there, and the log."""
    folder.mkdir(parents=True, exist_ok=True)
    port, started = free_port(), time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"MLFLOW_TRACKING_URI": settings().store, "MLFLOW_ENV_ROOT": str(folder / "environments")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    command = ["mlflow", "models", "serve", "--model-uri", uri, "--env-manager", "uv", "--port", str(port), "--workers", str(workers)]
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(port, process, folder / "serve.log")
        yield Served(port, time.monotonic() - started, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])
