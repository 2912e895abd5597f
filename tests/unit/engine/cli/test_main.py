"""The command line among other commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.cli import main
from engine.cli.commands import _parser


def test_no_command_opens_the_workbench_as_its_command_does() -> None:
    bare, named = _parser().parse_args([]), _parser().parse_args(["ui"])
    assert vars(bare) == vars(named) and bare.host == "127.0.0.1"


@pytest.mark.parametrize("host", ["workbench.example.com", "", "127.0.0.1 --server.headless=false"])
def test_a_host_is_an_address(host: str, workspace: Path) -> None:
    with pytest.raises(SystemExit, match="is no IP address; give one of this machine"):
        main(["ui", "--host", host])


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
