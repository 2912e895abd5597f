"""Every page, opened as a person would: empty, filled, with a wrong address, with hostile text."""

import re

from tests.pages.fake import FakeEngine
from tests.pages.reading import Says, Visit
from tests.records import run


def test_compare_marks_the_best_and_judges_by_the_intervals(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("compare", runs="a,d")
    said = says(at)
    assert "For retrieval take **A" in said
    assert "and the intervals are apart" in said
    assert "For ranking take **B" in said
    assert re.search(r'<span title="best: [^"]*">★</span> 0.229', said)
    assert "+0.032" in said  # over popularity


def test_overlapping_intervals_are_called_noise(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.overlapping = True
    said = says(visit("compare", runs="a,d"))
    assert "inside the noise of B" in said
    assert "For retrieval take" not in said


def test_a_run_of_other_data_stands_apart_with_its_reason(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs.append(run("e", dataset="other-0123456789ab"))
    assert "is not compared" in says(visit("compare", runs="a,e"))
