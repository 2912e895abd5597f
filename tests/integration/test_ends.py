"""What ends with the command that started it, and what goes on: real processes, real signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.runs import RunState, processes
from tests.commands import until

RECBENCH = [sys.executable, "-c", "from engine.cli import main; main()"]
ROOT = Path(__file__).resolve().parents[2]


def started_by_a_terminal(words: list[str], **options: Any) -> "subprocess.Popen[str]":
    """A process that SIGINT and SIGHUP end: a child of nohup or of a shell's background job inherits that they are ignored."""

    def heed() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    return subprocess.Popen(words, cwd=ROOT, text=True, preexec_fn=heed, **options)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
@pytest.mark.fault("F02")
@pytest.mark.parametrize("ends", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_streamlit_ends_with_recbench(workspace: Path, ends: signal.Signals, record_property) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = started_by_a_terminal([*RECBENCH, "ui", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: not is_free(port) or started.poll() is not None, 120)
        assert started.poll() is None
        sent = time.monotonic()
        started.send_signal(ends)
        until(lambda: is_free(port), 30)
        record_property("truth_s", time.monotonic() - sent)
        started.wait(timeout=30)
    finally:
        started.kill()
        started.wait()


@pytest.mark.slow
@pytest.mark.fault("F03")
def test_ctrl_c_of_a_waiting_command_says_that_the_run_goes_on(workspace: Path) -> None:
    """As a terminal sends it: to the whole group of the command, which the driver is not in."""
    spec = workspace / "dataset.json"
    spec.write_text(json.dumps({"name": "s", "source": {"kind": "sample"}}))
    words = [*RECBENCH, "prepare", str(spec)]
    waiting = started_by_a_terminal(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    runs = workspace / "runs"
    until(lambda: any(processes.is_alive(one.name) for one in runs.glob("[!.]*")), 200)  # before it has its id, it has another name
    (run_id,) = (one.name for one in runs.glob("[!.]*"))
    time.sleep(2)  # until the command waits
    os.killpg(waiting.pid, signal.SIGINT)
    _, said = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert f"{run_id} goes on; `recbench cancel {run_id}` stops it" in said
    assert "Traceback" not in said
    assert processes.is_alive(run_id)
    engine.runs.cancel(run_id)
    assert engine.runs.get_run(run_id).state == RunState.CANCELLED
