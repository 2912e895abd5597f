"""Funnels on the Compare page: what one lost where, and the form that measures another."""

from streamlit.testing.v1 import AppTest

import engine
from engine.runs import processes, store
from tests.pages.reading import Visit, button, foreign_markup, labelled, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import funnels


def texts(at: AppTest) -> str:
    return "\n".join(one.value for one in [*at.markdown, *at.caption])


def test_a_funnel_says_what_was_lost_where(shared: Workspace, visit: Visit) -> None:
    found = engine.runs.funnel_losses(shared.runs["funnel"])
    rows = {row["candidates"]: row for row in found["curve"]}
    assert found["candidates"] == 12 and 10 in rows
    at = visit("compare", runs=shared.ids("two_tower", "dlrm", "funnel"))
    assert funnels.sentence(rows[12], found["k"]) in texts(at)
    assert funnels.index_sentence(found["index"]) in texts(at)
    at.select_slider(key=f"compare.funnel.n.{shared.runs['funnel']}").set_value(10).run()
    assert funnels.sentence(rows[10], found["k"]) in texts(at)


def test_what_was_lost_is_said_in_shares_and_times() -> None:
    shares = {"found": 0.4, "lost_at_retrieval": 0.25, "lost_at_ranking": 0.35}
    times = {f"{part}_{p}_ms": 2.5 for part in ("latency", "encode", "retrieve", "rank") for p in ("p50", "p99")}
    said = funnels.sentence({"candidates": 200} | shares | times, 10)
    assert "With N = 200" in said and "**40 %** were found" in said and "**25 %** lost at retrieval" in said
    assert "2.50 ms" in said
    index = {"factory": "HNSW32", "items": 1000, "recall_at_100": 0.987}
    assert "recall of the exact top 100: 0.987" in funnels.index_sentence(index)


def test_the_form_launches_one_run_with_what_was_chosen(own: Workspace, drivers: None, visit: Visit) -> None:
    tower, ranker = own.runs["two_tower"], own.runs["dlrm"]
    at = visit("compare", runs=f"{tower},{ranker}")
    assert labelled(at.selectbox, "Retriever").value == tower and labelled(at.selectbox, "Ranker").value == ranker
    at.number_input(key="compare.funnel.candidates").set_value(60).run()
    button(at, "Measure the funnel").click().run()
    assert not at.exception
    (run,) = own.launched()
    model = run.training.model
    assert (model.kind, model.candidates, model.retriever, model.ranker) == ("funnel", 60, tower, ranker)  # type: ignore[attr-defined]
    assert model.titles == (own.run("two_tower").title, own.run("dlrm").title)  # type: ignore[attr-defined]
    assert "Compare it with these" not in {one.label for one in at.get("page_link")}
    processes.sweep(run.run_id)
    store.set_status(run.run_id, "FINISHED")
    at.run()
    assert "Compare it with these" in {one.label for one in at.get("page_link")}


def test_why_two_runs_make_no_funnel_is_said(own: Workspace, drivers: None, visit: Visit) -> None:
    engine.runs.rename(own.runs["dlrm"], HOSTILE)
    at = visit("compare", runs=own.ids("two_tower", "dlrm"))
    store.set_tag(own.runs["dlrm"], "dataset", own.clicks)  # as if it had been trained on other data
    store.set_tag(own.runs["clicks"], "dataset", own.films)  # as many trainings of the films: the comparison is not made again
    button(at, "Measure the funnel").click().run()
    assert not at.exception and not foreign_markup(at)
    (why,) = [plainly(one.value) for one in at.info]
    assert f"cannot be the ranker: it was trained on {own.clicks}, the funnel is for {own.films}; choose two runs of one dataset" in why
    assert own.launched() == []


def test_one_run_makes_no_funnel(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower"))
    assert "Funnels" not in [one.value for one in at.header]
