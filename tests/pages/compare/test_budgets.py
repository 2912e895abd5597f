"""Budgets on the Compare page: stated in the table, warned of in the verdict, and drawn as the expected best of n trials."""

import json

from tests.pages.reading import Says, Visit, links, plainly
from tests.workspace import Workspace

EASE, KNN = "EASE", "Item-kNN"


def test_a_search_beside_none_is_stated_and_warned_of(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids("ease", "ease10", "popularity"))
    said = plainly(says(at))
    assert "Unequal budgets: A tried 20 settings, B one" in said
    assert "20 trials" in said and "not searched" in said
    assert "Settings tried" in said and "Training, best settings alone" in said


def test_equal_budgets_are_not_warned_of_and_are_drawn_over_trials_or_seconds(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=shared.ids("ease", "item_knn", "ease10"))
    said = plainly(says(at))
    assert "Trials of TPE are not independent draws" in said and "No such search of C" in said
    assert any(word in said for word in ("With fewer than", "for any budget up to 20 trials"))
    assert [label for label in links(at) if label.startswith("What A")] == ["What A EASE · tuned tried"]
    (drawn,) = [one for chart in at.get("plotly_chart") if "in order" in (one := chart.proto.spec)]
    lengths = [len(line["x"]) if isinstance(line["x"], list) else line["x"] for line in json.loads(drawn)["data"]]
    assert len(lengths) == 4
    at = visit("compare", runs=shared.ids("ease", "item_knn"), budget="seconds")
    assert "Unequal budgets" not in says(at)
    assert at.selectbox("compare.budget").value == "seconds"


def test_without_searches_there_is_no_section(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"))
    assert "Budget" not in [header.value for header in at.header]
