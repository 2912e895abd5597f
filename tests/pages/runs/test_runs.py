"""The Runs page: one run in each state, and which one the address names."""

from engine.runs import RunState, processes
from tests.pages.reading import Says, Visit, button, links, plainly
from tests.workspace import FAILURE, Workspace
from ui.shared import words


def test_a_live_run_shows_progress_and_can_be_cancelled(own: Workspace, visit: Visit) -> None:
    at = visit("runs", run=own.runs["running"])
    told = plainly(at.get("progress")[0].proto.text)
    assert told == "Running 42 % · training · epoch 3 of 10 · 12,345 rows/s · 1 min left"
    button(at, "Stop the run").click().run()
    assert own.run("running").state == RunState.CANCELLING


def test_every_state_is_shown_by_its_name(shared: Workspace, visit: Visit, says: Says) -> None:
    """Live, ended and finished runs, each as the engine reads it from the store, the folder and the lock."""
    for name in ("queued", "running", "cancelling", "failed", "interrupted", "cancelled", "dlrm"):
        state = shared.run(name).state
        assert state.value == ("finished" if name == "dlrm" else name)
        assert processes.is_alive(shared.runs[name]) == (name in ("queued", "running", "cancelling"))
    at = visit("runs")
    shown = at.dataframe[0].value
    assert len(shown) == len(shared.runs)
    assert {state for cell in shown["State"] for state in cell} == {
        "Queued", "Running", "Cancelling", "Failed", "Interrupted", "Cancelled", "Finished",
    }  # fmt: skip


def test_a_failed_run_tells_its_cause(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("runs", run=shared.runs["failed"])
    assert FAILURE in plainly(says(at))
    assert "Train again" in links(at)


def test_a_selected_run_stands_in_the_address(shared: Workspace, visit: Visit) -> None:
    at = visit("runs", run=shared.runs["ials"])
    metrics = shared.run("ials").metrics
    assert {words.number(metrics["auc"]), words.number(metrics["ndcg_at_10"])} <= {metric.value for metric in at.metric}
    assert at.query_params["run"] == shared.runs["ials"]
