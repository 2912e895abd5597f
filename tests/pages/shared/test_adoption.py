"""Where run folders are here that the store does not know, every page says so, and a button takes them in."""

import pytest

import engine
from engine.runs import store
from engine.specs import MODELS, RunSpec
from tests.pages.reading import opened, plainly


@pytest.mark.fault("F29")
def test_a_page_offers_to_adopt_what_the_store_does_not_know(workspace):
    spec = RunSpec(dataset="films-0123456789ab", model=MODELS["ease"]())
    folder = workspace / "runs" / ("a" * 32)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec.model_dump_json())
    (folder / "verdict.json").write_text('{"status": "FAILED", "message": "It was not to be.", "time": 1.0}')
    for path in workspace.glob("mlflow.db*"):
        path.unlink()
    for page in ("home", "runs"):
        at = opened(page)
        assert "The store is new, but 1 run folder is here: adopt them with `recbench adopt`." in plainly(at.warning[0].value)
    at.button(key="adopt").click().run()
    assert not at.exception and not at.warning
    assert "1 runs taken in" in plainly(at.info[0].value)
    run = engine.runs.get_run("a" * 32)
    assert (run.state, run.message, run.dataset) == (engine.runs.RunState.FAILED, "It was not to be.", "films-0123456789ab")
    assert store.get(run.run_id).info.status == "FAILED"
    assert not opened("home").warning
