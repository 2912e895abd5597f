"""The command line among other commands."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["download"], ["download", "--json"], ["spec", "run"]])
def test_who_reads_no_further_ends_a_command_without_a_word(words, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does, only sooner
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from engine.cli import main; main()", *words],
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, env={**os.environ, "RECBENCH_WORKSPACE": str(tmp_path)},
        )  # fmt: skip
    finally:
        os.close(writer)
    assert done.returncode == 141
    assert not [line for line in done.stderr.splitlines() if not line.startswith("# ")]  # what a spec's settings are
