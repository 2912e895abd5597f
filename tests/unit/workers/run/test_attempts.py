"""Attempts of a run: one owner at a time, and no late writer."""

from pathlib import Path

import pytest

from workers.run import attempts


@pytest.mark.fault("F16")
def test_a_late_writer_of_an_older_attempt_is_refused(tmp_path: Path) -> None:
    attempts.refuse_older(tmp_path, 1)  # nobody keeps attempts in this folder
    first = attempts.begin(tmp_path)
    attempts.refuse_older(tmp_path, first.number)
    second = attempts.begin(tmp_path, processes=2)
    assert (first.number, second.number, attempts.current(tmp_path).processes) == (1, 2, 2)
    attempts.refuse_older(tmp_path, second.number)
    with pytest.raises(attempts.SupersededError, match="attempt 2 has replaced it"):
        attempts.refuse_older(tmp_path, first.number)
