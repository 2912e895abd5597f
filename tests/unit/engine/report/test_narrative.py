"""What is written above a report: kept with the set of runs, whole or not at all, for its owner alone."""

import json
import os
from pathlib import Path

import pytest

from engine.report import LONGEST_NARRATIVE, narrative, set_narrative
from engine.report.narrative import paragraphs


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    return tmp_path


def files(workspace: Path) -> list[Path]:
    return sorted((workspace / "comparisons").iterdir())


def test_it_is_kept_by_the_set_of_runs_and_deleted_by_an_empty_text(workspace: Path) -> None:
    assert narrative(["b", "a"]) == ""
    assert not (workspace / "comparisons").exists()  # reading wrote nothing
    set_narrative(["b", "a"], "First.\n\nSecond: \ud800 映画")
    assert narrative(["a", "b", "a"]) == "First.\n\nSecond: \ud800 映画"
    assert narrative(["a"]) == narrative(["a", "b", "c"]) == ""
    (path,) = files(workspace)
    assert len(path.stem) == 24 and path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["runs"] == ["a", "b"]
    set_narrative(["a", "b"], " \n")
    assert files(workspace) == [] and narrative(["a", "b"]) == ""


def test_too_long_a_text_and_no_run_are_refused(workspace: Path) -> None:
    set_narrative(["a"], "x" * LONGEST_NARRATIVE)
    with pytest.raises(ValueError, match=r"20,001 characters; write 20,000 or fewer"):
        set_narrative(["a"], "x" * (LONGEST_NARRATIVE + 1))
    assert len(narrative(["a"])) == LONGEST_NARRATIVE
    with pytest.raises(ValueError, match="name its runs"):
        set_narrative([], "x")


def test_a_write_that_fails_leaves_what_was_there(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_narrative(["a"], "old")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        set_narrative(["a"], "new")
    assert narrative(["a"]) == "old" and len(files(workspace)) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"narrative": 3}', "null", "\x00"])
def test_a_file_that_cannot_be_read_is_no_narrative(workspace: Path, content: str) -> None:
    set_narrative(["a"], "x")
    files(workspace)[0].write_text(content)
    assert narrative(["a"]) == ""


@pytest.mark.parametrize(
    "text, found",
    [("", []), ("\n \n", []), ("a", [["a"]]), ("a\nb\n\n\n  \nc\r\n", [["a", "b"], ["c"]]), ("\n\na", [["a"]])],
)
def test_blank_lines_separate_paragraphs(text: str, found: list[list[str]]) -> None:
    assert paragraphs(text) == found
