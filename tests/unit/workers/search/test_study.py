"""What a search has left: the trials to come take as long as those that are through."""

from pathlib import Path
from typing import Any

import pytest

from workers.search import Study
from workers.specs import Range, SearchSpec

SPACE = {"model.l2": Range(low=1, high=100, log=True)}


def study(folder: Path, ended: list[float], **budget: Any) -> Study:
    """A search of ten trials, of which some are through, each after so many seconds."""
    found = Study(folder, SearchSpec(trials=10, **budget), SPACE, {"model.l2": 3.0}, 1)
    for seconds in ended:
        trial = found.next()
        assert trial
        found.end(trial.number, "done", 0.5, {"seconds": seconds})
    return found


def test_the_trials_to_come_take_as_long_as_those_before(tmp_path: Path) -> None:
    assert study(tmp_path, [10.0, 20.0]).left_s(2, 5.0) == pytest.approx(5 + 7 * 15)


def test_of_the_first_trial_the_others_take_as_long(tmp_path: Path) -> None:
    assert study(tmp_path, []).left_s(0, 5.0) == pytest.approx(50)


def test_no_trial_begins_after_the_time_is_over(tmp_path: Path) -> None:
    study(tmp_path, [30.0, 30.0], minutes=1.5)
    resumed = study(tmp_path, [], minutes=1.5)  # a minute is spent
    assert resumed.left_s(2, 10.0) == pytest.approx(10 + 20 + 30, abs=5)
