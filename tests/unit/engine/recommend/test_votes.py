"""Blind votes: nothing is lost, what is torn is told, and a preference is one only beyond chance."""

import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.recommend.votes import interval

A, B, C = "a" * 32, "b" * 32, "c" * 32


def wilson(won, of, z=1.959963984540054):
    """The closed form of the paper."""
    share = won / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


@pytest.mark.parametrize(("won", "of"), [(0, 1), (1, 1), (3, 7), (50, 100), (0, 30), (999, 1000)])
def test_the_interval_is_that_of_the_paper(won, of):
    assert interval(won, of) == pytest.approx(wilson(won, of), abs=1e-9)


def test_a_tally_counts_each_pair_from_the_side_that_is_asked(workspace):
    for prefers in ("run", "run", "other", "both", "neither"):
        engine.recommend.votes.cast("sample-1", B, A, "7", 10, prefers)
    engine.recommend.votes.cast("sample-1", A, B, "8", 10, "other")  # B again
    engine.recommend.votes.cast("sample-2", A, B, "8", 10, "run")  # of another dataset
    row = engine.recommend.votes.tally("sample-1", [B, A, C]).iloc[0]
    assert len(engine.recommend.votes.tally("sample-1", [B, A, C])) == 1
    assert (row["run"], row["run_wins"], row["other_wins"], row["both"], row["neither"]) == (B, 3, 1, 1, 1)
    assert row["share"] == 0.75 and row["leader"] is None
    turned = engine.recommend.votes.tally("sample-1", [A, B]).iloc[0]
    assert (turned["run_wins"], turned["other_wins"], turned["share"]) == (1, 3, 0.25)
    assert turned["low"] == pytest.approx(1 - row["high"])


def test_a_leader_is_one_beyond_chance(workspace):
    for _ in range(9):
        engine.recommend.votes.cast("sample-1", A, B, "7", 10, "other")
    assert engine.recommend.votes.tally("sample-1", [A, B]).iloc[0]["leader"] == B
    assert engine.recommend.votes.tally("sample-1", [A, C]).empty


def test_only_ties_are_no_share(workspace):
    engine.recommend.votes.cast("sample-1", A, B, "7", 10, "both")
    row = engine.recommend.votes.tally("sample-1", [A, B]).iloc[0]
    assert math.isnan(row["share"]) and (row["low"], row["high"]) == (0, 1) and row["leader"] is None


@pytest.mark.parametrize(
    "wrong", [{"prefers": "left"}, {"other": A}, {"dataset": "../../etc"}, {"dataset": ""}, {"k": 0}, {"other": "../x"}]
)
def test_nonsense_is_refused_and_nothing_is_written(workspace, wrong):
    asked = {"dataset": "sample-1", "run_id": A, "other": B, "whom": "7", "k": 10, "prefers": "run"} | wrong
    with pytest.raises(ValueError):
        engine.recommend.votes.cast(**asked)
    assert not list(workspace.rglob("*.jsonl"))


def test_a_vote_can_be_taken_back(workspace):
    engine.recommend.votes.cast("sample-1", A, B, "7", 10, "run")
    last = engine.recommend.votes.cast("sample-1", A, B, "8", 10, "other")
    engine.recommend.votes.withdraw(last)
    engine.recommend.votes.withdraw(last)
    assert [vote.whom for vote in engine.recommend.votes.list_votes("sample-1")] == ["7"]


def test_a_line_torn_by_a_killed_process_costs_that_line_alone(workspace, caplog):
    engine.recommend.votes.cast("sample-1", A, B, "7", 10, "run")
    path = next(workspace.rglob("*.jsonl"))
    path.write_bytes(path.read_bytes() + b'{"vote_id": "1234", "data')
    with caplog.at_level(logging.WARNING):
        assert len(engine.recommend.votes.list_votes("sample-1")) == 1
    assert "line 2 is not a vote" in caplog.text
    engine.recommend.votes.cast("sample-1", A, B, "8", 10, "run")
    assert [vote.whom for vote in engine.recommend.votes.list_votes("sample-1")] == ["7", "8"]


def test_two_processes_at_once_lose_nothing(workspace):
    code = f"from engine.recommend import votes\nfor n in range(50): votes.cast('sample-1', '{A}', '{B}', f'{{n}}', 10, 'run')"
    root = Path(__file__).parents[4]
    children = [subprocess.Popen([sys.executable, "-c", code], cwd=root) for _ in range(2)]
    assert [child.wait(120) for child in children] == [0, 0]
    assert len(engine.recommend.votes.list_votes("sample-1")) == 100


def test_reading_makes_nothing(workspace):
    assert engine.recommend.votes.list_votes("sample-1") == [] and engine.recommend.votes.tally("sample-1", [A, B]).empty
    assert not (workspace / "votes").exists()


def test_a_vote_that_the_disk_refuses_leaves_nothing(workspace, monkeypatch):
    engine.recommend.votes.cast("sample-1", A, B, "7", 10, "run")

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            engine.recommend.votes.cast("sample-1", A, B, "8", 10, "run")
    assert [vote.whom for vote in engine.recommend.votes.list_votes("sample-1")] == ["7"]
