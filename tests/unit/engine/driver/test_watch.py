"""The watch of a run: time in which it did not run itself is no sign of a run that hangs. Real processes, stopped by SIGSTOP."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ranks import ROOT

WATCHED = """
import pathlib, sys, threading, time
from engine.driver import watch
from workers.run import Journal

watch.TICK_S, watch.STEP_S, watch.STEPS = 0.5, 5.0, 1
folder = pathlib.Path(sys.argv[1])
journal, over = Journal(folder), pathlib.Path(sys.argv[1]) / "over"
seen = watch.Watch(folder)
seen.start()
step = 0
while not over.exists() and seen.reason is None:
    if not (folder / "hang").exists():
        step += 1
        journal.progress("training", step, 10**6, force=True)
    time.sleep(0.05)
    if step == 20:
        (folder / "works").touch()
seen.close()
print(seen.reason or "all is well")
"""


def watched(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WATCHED, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder / "works").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.fault("F20")
def test_a_run_whose_driver_was_starved_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    process = watched(tmp_path)
    process.send_signal(signal.SIGSTOP)
    time.sleep(12)  # longer than a run may stand still
    process.send_signal(signal.SIGCONT)
    time.sleep(1)
    (tmp_path / "over").touch()
    assert process.communicate(timeout=120)[0].strip() == "all is well"


@pytest.mark.fault("F20")
def test_a_run_that_stands_still_while_its_driver_runs_is_ended(tmp_path: Path) -> None:
    process = watched(tmp_path)
    (tmp_path / "hang").touch()
    assert process.communicate(timeout=120)[0].startswith("No step for 5 s at step")
