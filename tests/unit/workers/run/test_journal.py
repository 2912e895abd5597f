"""The journal of a run over its attempts: one curve, one writer, and no end of a run by a disk that is full."""

import json
import subprocess
from pathlib import Path

import pytest

from workers.run import RESUMED, Journal, attempts, read_curve, read_journal


def curve(folder: Path) -> list[tuple[int, float]]:
    return [(one["step"], one["values"]["train_loss"]) for one in read_curve(folder / "journal.jsonl") if "train_loss" in one["values"]]


def report(journal: Journal, *steps: int, loss: float) -> None:
    for step in steps:
        journal.metrics({"train_loss": loss}, step=step, epoch=1, rows=step)


@pytest.mark.fault("F34")
def test_steps_that_are_taken_again_have_one_value_that_of_the_later_attempt(tmp_path: Path) -> None:
    report(Journal(tmp_path, 1), 10, 20, 30, 40, loss=1)
    second = Journal(tmp_path, 2)
    second.event(RESUMED, step=20)
    report(second, 30, 40, 50, loss=2)
    third = Journal(tmp_path, 3)
    third.event(RESUMED, step=40)
    report(third, 50, 60, loss=3)
    assert curve(tmp_path) == [(10, 1), (20, 1), (30, 2), (40, 2), (50, 3), (60, 3)]
    assert {record.get("attempt", 1) for record in read_journal(tmp_path / "journal.jsonl")[0]} == {1, 2, 3}


@pytest.mark.fault("F34")
def test_an_attempt_that_begins_anew_begins_a_new_curve_and_an_epoch_judged_twice_is_there_once(tmp_path: Path) -> None:
    first = Journal(tmp_path, 1)
    report(first, 10, 20, loss=1)
    first.metrics({"valid_auc": 0.5}, step=20, epoch=1, rows=20)
    second = Journal(tmp_path, 2)
    second.event(RESUMED, step=20)
    second.metrics({"valid_auc": 0.6}, step=20, epoch=1, rows=20)
    assert [one["values"] for one in read_curve(tmp_path / "journal.jsonl")] == [{"train_loss": 1}, {"train_loss": 1}, {"valid_auc": 0.6}]
    Journal(tmp_path, 3).event(RESUMED, step=0)
    assert read_curve(tmp_path / "journal.jsonl") == []


def test_a_pause_between_attempts_takes_no_time(tmp_path: Path) -> None:
    times = [(100, {"step": 10}), (101, {"step": 20}), (5000, {"event": RESUMED, "step": 10}), (5001, {"step": 20}), (5002, {"step": 30})]
    lines = [json.dumps({"time": at, **({"values": {"train_loss": 1}} if "event" not in more else {}), **more}) for at, more in times]
    (tmp_path / "journal.jsonl").write_text("\n".join(lines) + "\n")
    assert [(one["step"], one["time"]) for one in read_curve(tmp_path / "journal.jsonl")] == [(10, 100), (20, 101), (30, 102)]
    assert read_curve(tmp_path / "none.jsonl") == []


@pytest.mark.fault("F16")
def test_an_older_attempt_may_not_write(tmp_path: Path) -> None:
    attempts.begin(tmp_path)
    first = Journal(tmp_path, 1)
    report(first, 10, loss=1)
    attempts.begin(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(attempts.SupersededError):
        report(first, 20, loss=1)
    with pytest.raises(attempts.SupersededError):
        first.progress("training", 1, 1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.fault("F24")
def test_a_full_disk_does_not_end_a_run_and_reports_follow_when_there_is_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        journal = Journal(tmp_path)
        report(journal, 1, loss=1)
        (tmp_path / "more").write_bytes(bytes(56 * 1024))
        for step in range(2, 300):
            report(journal, step, loss=1)
            journal.progress("training", step, 1000, force=True)
        assert len(curve(tmp_path)) < 299
        assert len([one for one in caplog.records if "No space left" in one.getMessage()]) == 1
        (tmp_path / "more").unlink()
        report(journal, 300, loss=1)
        assert curve(tmp_path) == [(step, 1) for step in range(1, 301)]
        journal.progress("training", 300, 1000, force=True)
        assert json.loads((tmp_path / "progress.json").read_text())["step"] == 300
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_the_progress_of_a_part_has_the_time_that_the_run_has_left(tmp_path: Path) -> None:
    part = Journal(tmp_path, 1, left_s=lambda left: left + 100, trial=2, trials=9)
    part.progress("training", 1, 10, force=True, eta_s=5.0)
    told = json.loads((tmp_path / "progress.json").read_text())
    assert (told["eta_s"], told["trial"], told["trials"]) == (105, 2, 9)
    part.progress("training", 1, 10, force=True, eta_s=None)
    assert json.loads((tmp_path / "progress.json").read_text())["eta_s"] is None


def test_a_new_phase_is_reported_at_once_whatever_was_reported_just_now(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for phase, step in (("training", 1), ("training", 2), ("validating", 0)):
        journal.progress(phase, step, 1000)
    told = json.loads((tmp_path / "progress.json").read_text())
    assert (told["phase"], told["step"]) == ("validating", 0), "else the watch takes a long validation for a step that never ends"
