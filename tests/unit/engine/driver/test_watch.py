"""The watch of a run: time in which it did not run itself is no sign of a run that hangs. Real processes, stopped by SIGSTOP."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ranks import ROOT

SPIN = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True: pass
"""

WATCHED = """
import os, pathlib, subprocess, sys, threading, time
from engine.driver import watch
from workers.run import Journal

watch.TICK_S, watch.STEP_S, watch.STEPS = 0.5, 5.0, 1
folder = pathlib.Path(sys.argv[1])
journal, over = Journal(folder), pathlib.Path(sys.argv[1]) / "over"
seen = watch.Watch(folder)
seen.start()
step, spinning, SPIN = 0, [], sys.argv[2]
while not over.exists() and seen.reason is None:
    if (folder / "starve").exists() and not spinning:
        (folder / "train.py").write_text(SPIN)
        hogs = [[sys.executable, "-c", "while True: pass"]] * 2 * os.cpu_count()
        for words in [[sys.executable, str(folder / "train.py")], *hogs]:
            spinning.append(subprocess.Popen(words, env=os.environ | {"RANK": "0"}))
    if not (folder / "hang").exists() and not (folder / "starve").exists():
        step += 1
        journal.progress("training", step, 10**6, force=True)
    time.sleep(0.05)
    if step == 20:
        (folder / "works").touch()
seen.close()
for one in spinning:
    one.kill()
print(seen.reason or "all is well")
"""


def watched(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WATCHED, str(folder), SPIN], cwd=ROOT, stdout=subprocess.PIPE, text=True)
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


@pytest.mark.fault("F20")
def test_ranks_that_get_no_core_are_not_taken_for_hanging_ones(tmp_path: Path) -> None:
    """A rank that only runs where nobody else does, on a machine whose cores are all taken."""
    process = watched(tmp_path)
    (tmp_path / "starve").touch()
    time.sleep(12)  # longer than a run may stand still
    (tmp_path / "over").touch()
    assert process.communicate(timeout=120)[0].strip() == "all is well"
