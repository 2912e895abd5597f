"""A password in the address of the store is in no output of the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.fault("F30")
@pytest.mark.parametrize("words", [["runs"], ["runs", "--json"]], ids=" ".join)
def test_a_store_that_cannot_be_opened_leaves_no_password(tmp_path: Path, words: list[str]) -> None:
    uri = "postgresql://ann:hunter2@127.0.0.1:9/ml"
    environment = {**os.environ, "RECBENCH_WORKSPACE": str(tmp_path / "workspace"), "RECBENCH_TRACKING_URI": uri}
    command = [sys.executable, "-c", "from engine.cli import main; main()", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1
    assert ended.stderr
    assert "hunter2" not in ended.stdout + ended.stderr


def test_an_error_that_nobody_foresees_is_told_without_a_password() -> None:
    text = """
from engine.cli import commands
def fails(args): raise KeyError if False else AssertionError("postgresql://ann:hunter2@db/ml")
commands._runs = fails
commands.main(["runs"])
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 1
    assert "postgresql://ann:…@db/ml" in ended.stderr and "Traceback" in ended.stderr
    assert "hunter2" not in ended.stderr
