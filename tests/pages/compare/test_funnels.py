"""Funnels on the Compare page: what one lost where, and the form that measures another."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.pages.fake import FakeEngine
from tests.pages.reading import Visit, foreign_markup
from tests.records import HOSTILE, dataset, run


@pytest.fixture
def parts(fake: FakeEngine) -> FakeEngine:
    fake.datasets = [dataset()]
    spec = fake.funnel("Two-tower", "DLRM")
    both = run("both").model_copy(update={"settings": spec.model_dump(mode="json"), "model": "funnel", "title": spec.title})
    fake.runs = [run("tower", "two_tower"), run("ranker", "dlrm"), both]
    return fake


def texts(at: AppTest) -> str:
    return "\n".join(one.value for one in [*at.markdown, *at.caption])


def labelled(found: Any, label: str) -> Any:
    return next(one for one in found if one.label == label)


def test_a_funnel_says_what_was_lost_where(parts: FakeEngine, visit: Visit) -> None:
    at = visit("compare", runs="tower,ranker,both")
    said = texts(at)
    assert "With N = 200" in said and "**40 %** were found" in said and "**25 %** lost at retrieval" in said
    assert "2.50 ms" in said and "recall of the exact top 100: 0.987" in said
    at.select_slider(key="compare.funnel.n.both").set_value(50).run()
    assert "With N = 50" in texts(at)


def test_the_form_launches_one_run_with_what_was_chosen(parts: FakeEngine, visit: Visit) -> None:
    at = visit("compare", runs="tower,ranker")
    assert labelled(at.selectbox, "Retriever").value == "tower" and labelled(at.selectbox, "Ranker").value == "ranker"
    at.number_input(key="compare.funnel.candidates").set_value(60).run()
    labelled(at.button, "Measure the funnel").click().run()
    assert not at.exception
    spec, _ = parts.submitted[0]
    assert len(parts.submitted) == 1 and spec.model.kind == "funnel" and spec.model.candidates == 60
    assert spec.model.titles == ("tower", "ranker")
    assert "Compare it with these" not in {one.label for one in at.get("page_link")}
    parts.runs[0] = parts.runs[0].model_copy(update={"state": engine.runs.RunState.FINISHED})
    at.run()
    assert "Compare it with these" in {one.label for one in at.get("page_link")}


def test_why_two_runs_make_no_funnel_is_said(parts: FakeEngine, visit: Visit) -> None:
    parts.refuses = ValueError(f"{HOSTILE} cannot be the ranker: it is failed; choose a finished training run.")
    at = visit("compare", runs="tower,ranker")
    assert any("cannot be the ranker" in one.value for one in at.info) and not foreign_markup(at)
    assert not parts.submitted


def test_one_run_makes_no_funnel(parts: FakeEngine, visit: Visit) -> None:
    at = visit("compare", runs="tower")
    assert "Funnels" not in [one.value for one in at.subheader]
