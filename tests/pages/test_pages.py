"""Every page, opened as a person would: empty, filled, with a wrong address, with hostile text."""

import re

from tests.pages.fake import FakeEngine
from tests.pages.reading import Says, Visit, button
from tests.records import DATASET, run


def test_data_lists_datasets_and_shows_the_one_of_the_address(trained: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("data", dataset=DATASET)
    assert at.dataframe[0].value["Users to rank for"].tolist() == [28]
    said = says(at)
    assert "60 %" in said  # of train is liked
    assert "0.197" in said  # popularity


def test_a_new_dataset_shows_what_the_rules_leave_and_is_prepared_once(fake: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("data", view="new", source="sample")
    for name, value in (("users", 40), ("items", 40), ("interactions", 500)):
        at.number_input(f"data.sample.source.{name}").set_value(value)
    at.run()
    assert not at.exception
    assert "users to rank for" in says(at)
    button(at, "Prepare").click().run()
    assert [spec.source.users for spec, _ in fake.submitted] == [40]
    assert button(at, "Prepare").disabled


def test_a_source_that_cannot_be_read_is_a_sentence(fake: FakeEngine, visit: Visit, says: Says) -> None:
    at = visit("data", view="new", source="sample")
    at.number_input("data.sample.source.interactions").set_value(500)
    at.run()
    assert "interactions is 500" in says(at).replace("\\", "")
    assert button(at, "Prepare").disabled


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
    assert "stands apart" in says(visit("compare", runs="a,e"))
