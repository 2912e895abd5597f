"""A resumed run measures some steps again: the store has one value of a metric for a step."""

from typing import Any

import pytest

from engine.runs.writes import OnePerStep


def record(step: int, attempt: int | None = None, epoch: int = 1, **values: float) -> dict[str, Any]:
    return {"step": step, "epoch": epoch, "rows": 1, "time": 1.0, "values": values} | ({} if attempt is None else {"attempt": attempt})


def points(records: list[dict[str, Any]]) -> list[tuple[str, int, float]]:
    return [(name, one["step"], value) for one in records for name, value in one["values"].items()]


@pytest.mark.fault("F34")
def test_what_an_earlier_attempt_measured_at_a_step_is_not_measured_again() -> None:
    first = [record(step, loss=10.0 - step) for step in (1, 2, 3)] + [record(2, valid=0.5)]
    second = [record(step, 2, loss=20.0 - step) for step in (2, 3, 4)] + [record(4, 2, valid=0.6)]
    assert points(list(OnePerStep()(first + second))) == [
        ("loss", 1, 9.0), ("loss", 2, 8.0), ("loss", 3, 7.0), ("valid", 2, 0.5), ("loss", 4, 16.0), ("valid", 4, 0.6),
    ]  # fmt: skip


def test_it_is_the_same_in_parts_and_a_third_attempt_sees_both_before_it() -> None:
    every = [record(1, loss=1.0), record(5, loss=5.0), record(3, 2, loss=3.0), record(2, 3, loss=2.0), record(6, 3, loss=6.0)]
    fresh = OnePerStep()
    parts = [one for given in every for one in fresh([given])]
    assert points(parts) == points(list(OnePerStep()(every))) == [("loss", 1, 1.0), ("loss", 5, 5.0), ("loss", 6, 6.0)]


def test_an_event_is_no_point_and_an_epoch_is_given_once_a_step() -> None:
    given = [{"time": 1.0, "event": "turn came"}, record(7, loss=1.0), record(7, valid=2.0)]
    assert [one["epoch"] for one in OnePerStep()(given)] == [1, None]
