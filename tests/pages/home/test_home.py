"""The home page: the first run, the tour, and what was done last."""

import engine
from engine import runs
from tests.pages.reading import Says, Visit, button
from tests.workspace import Workspace
from ui.compare import setup, verdict
from ui.shared import picker


def test_the_first_run_is_one_click_and_one_tour(empty: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    at = visit("home")
    button(at, "Load sample ratings and compare").click().run()
    launched = runs.list_runs()[::-1]
    assert [(run.kind, run.model) for run in launched] == [("prepare", None), ("train", "two_tower"), ("train", "dlrm")]
    assert at.query_params["tour"] == ",".join(run.run_id for run in launched)
    at.run()
    assert len(runs.list_runs()) == 3
    assert "Prepare sample" in says(at)


def test_a_finished_tour_offers_its_comparison_to_who_comes_back(shared: Workspace, visit: Visit) -> None:
    at = visit("home", tour=shared.ids("prepared", "two_tower", "dlrm"))
    assert button(at, "Open the comparison")


def test_home_leads_to_the_last_comparison_retrieval_first(own: Workspace, visit: Visit, says: Says) -> None:
    assert own.only("two_tower", "dlrm").run("dlrm").submitted_at > own.run("two_tower").submitted_at
    for name, title in (("dlrm", "The ranker"), ("two_tower", "The retriever")):
        engine.runs.rename(own.runs[name], title)
    said = says(visit("home"))
    assert said.index("The retriever") < said.index("The ranker")


def test_home_says_the_last_verdict_itself(own: Workspace, visit: Visit, says: Says) -> None:
    own.only("two_tower", "dlrm", "ease")
    said = says(visit("home"))
    last = picker.last_comparison(engine.runs.list_runs())
    comparison = setup.compared(tuple(last), "popularity", True, engine.compare.THRESHOLD)
    assert verdict.sentences(comparison)
    assert all(sentence in said for sentence in verdict.sentences(comparison))


def test_a_verdict_that_cannot_be_read_is_a_sentence(own: Workspace, visit: Visit, says: Says) -> None:
    own.only("two_tower", "dlrm")
    for name in ("two_tower", "dlrm"):
        path = own.path(name) / "done.json"
        path.write_text(path.read_text().replace("metrics", "metricz"))
    assert "Last comparison" in says(visit("home"))
