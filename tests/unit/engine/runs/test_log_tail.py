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
