"""The end of a log, whatever a process wrote into it: bytes of another encoding, endless lines, colours, progress bars."""

from collections.abc import Callable
from pathlib import Path

import pytest

import engine
from engine.datasets import DatasetSpec
from engine.runs import store

Write = Callable[[bytes], str]


@pytest.fixture
def write(workspace: Path) -> Write:
    """Write the log of a run; its id."""
    run_id = store.create("prepare", "Prepare s", DatasetSpec.model_validate({"source": {"kind": "sample"}}), {})
    (workspace / "runs" / run_id).mkdir(parents=True)

    def written(content: bytes) -> str:
        (workspace / "runs" / run_id / "run.log").write_bytes(content)
        return engine.runs.log_tail(run_id)

    return written


@pytest.mark.fault("F22")
def test_bytes_of_another_encoding_are_escaped(write: Write) -> None:
    assert write("ok é\n".encode() + b"caf\xe9 \xff\x00end\n") == "ok é\ncaf\\xe9 \\xff\\x00end"


@pytest.mark.fault("F22")
def test_a_line_without_end_is_cut_and_says_so(write: Write) -> None:
    found = write(b"before\n" + b"x" * 1_000_000 + b"\nafter\n").split("\n")
    assert found[-1] == "after"
    assert found[0] == "x" * 1000 + " …"
    assert len(found) == 2, "what comes before so long a line is too far from the end"


@pytest.mark.fault("F22")
def test_colours_and_moves_of_a_terminal_are_left_out_and_other_signs_are_escaped(write: Write) -> None:
    said = b"\x1b[1;31mred\x1b[0m plain\x1b[2K\n\x1b]0;title\x07bell\x07 \x1b[3Aup \x1bM \x9b31m\n"
    assert write(said) == "red plain\nbell\\x07 up  \\x9b31m"


@pytest.mark.fault("F22")
def test_of_a_progress_bar_the_last_state_is_shown(write: Write) -> None:
    bar = b"".join(b"\r%3d %%" % n for n in range(100))
    assert write(b"start\r\n" + bar + b"\r100 % done\nend\n") == "start\n100 % done\nend"


@pytest.mark.fault("F22")
def test_a_log_that_is_cut_within_a_letter_is_read(write: Write) -> None:
    found = write("é".encode() * 200_001)
    assert found.rstrip(" …").lstrip("\\xa9") == "é" * len(found.rstrip(" …").lstrip("\\xa9"))


LINES = b"""2026-01-05 10:00:00,001 [driver] INFO reading the source
2026-01-05 10:00:01,001 [rank 0] INFO (root) [TBE=1] Feature Gates: []
and more of it
2026-01-05 10:00:02,001 [rank 0] INFO epoch 1: valid_auc 0.7
2026-01-05 10:00:03,001 [rank 1] ERROR (torch.nn) no kernel
Traceback of it
2026-01-05 10:00:04,001 [rank 0] WARNING (torchrec.distributed.planner) The topology was constructed directly
Current thread 0x00007f (most recent call first):
  File "loop.py"
"""


def test_each_line_has_its_process_and_libraries_are_told_apart(write: Write) -> None:
    write(LINES)
    (run,) = engine.runs.list_runs()
    found = engine.runs.log_lines(run.run_id)
    assert [(line.who, line.ours) for line in found] == [
        ("driver", True), ("rank 0", False), ("rank 0", False), ("rank 0", True), ("rank 1", True), ("rank 1", True),
        ("rank 0", False), ("rank 0", True), ("rank 0", True),
    ]  # fmt: skip
    assert "\n".join(line.text for line in found) == LINES.decode().strip("\n")


def test_what_was_printed_follows_without_its_passwords(write: Write, workspace: Path) -> None:
    write(b"2026-01-05 10:00:00,001 [driver] INFO ours\n")
    (run,) = engine.runs.list_runs()
    (workspace / "runs" / run.run_id / "output.log").write_text("WARN s3a://someone:hush@bucket\n")
    assert [(line.text, line.who) for line in engine.runs.log_lines(run.run_id)][1:] == [("WARN s3a://someone:…@bucket", "printed")]
    assert "ours" in engine.runs.log_text(run.run_id) and "hush" not in engine.runs.log_text(run.run_id)
