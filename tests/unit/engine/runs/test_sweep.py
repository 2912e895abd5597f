"""Ending the processes of a run, also while it is still starting some."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runs import processes

FOLLOWING = """
import os, subprocess
for _ in range(6):
    subprocess.run(["sleep", "600"], env={{**os.environ, "{token}": "{run}"}})
"""


@pytest.mark.fault("F04")
def test_processes_that_follow_those_that_were_ended_are_ended_too(workspace: Path) -> None:
    """As while Spark starts: Java is asked for its version, then the launcher runs, then the JVM."""
    run_id = "ab" * 16
    text = FOLLOWING.format(token=processes.TOKEN, run=run_id)
    starter = subprocess.Popen([sys.executable, "-c", text], env={k: v for k, v in os.environ.items() if k != processes.TOKEN})
    try:
        while not processes.processes(run_id):
            assert starter.poll() is None
        while starter.poll() is None:
            assert processes.sweep(run_id) == []
    finally:
        starter.kill()
        starter.wait()
    assert processes.processes(run_id) == []
