"""What a finished run predicts, what is wrong with it, and how it goes on, as the Runs page shows it."""

from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs.read import RunState
from tests.pages.fake import HOSTILE, FakeEngine, run
from tests.pages.test_pages import button, foreign_markup

Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]

WHO = {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "title": ["Alien (1979)", HOSTILE]}
FORETOLD = {
    "binary": (
        {"reliability": [{"predicted": 0.2, "observed": 0.25, "rows": 40}, {"predicted": 0.9, "observed": 0.7, "rows": 60}]},
        {"truth": [True, False], "predicted": [0.9, 0.75], "miss": [0.1, 0.75]},
    ),
    "regression": (
        {"residuals": [{"target": 1.0, "predicted": 2.0, "deviation": 0.5, "rows": 9}]},
        {"truth": [5.0, 1.0], "predicted": [4.5, 3.0], "miss": [0.5, 2.0]},
    ),
    "multi_class": (
        {"classes": ["good", HOSTILE], "confusion": [[8, 2], [1, 3]]},
        {"truth": ["good", HOSTILE], "predicted": ["good", "good"], "probability": [0.7, 0.6], "miss": [0.3, 0.6]},
    ),
    "actions": (
        {
            "actions": [
                {"action": HOSTILE, "rate": 0.1, "auc": 0.71, "auc_se": 0.01, "log_loss": 0.3, "ne": 0.9},
                {"action": "buy", "rate": 0.0, "auc": None, "auc_se": None, "log_loss": 0.0, "ne": None},
            ]
        },
        {"truth": [HOSTILE, "none"], f"P({HOSTILE})": [0.8, 0.5], "P(buy)": [0.1, 0.0], "miss": [0.2, 0.5]},
    ),
}


@pytest.fixture
def foretelling(trained: FakeEngine, request: pytest.FixtureRequest) -> FakeEngine:
    """A workbench whose runs foretold an output."""
    tables, rows = FORETOLD[request.param]
    trained.foretold = {"output": request.param, **tables}
    trained.shown = pd.DataFrame(WHO | rows)
    return trained


def shown_rows(at: AppTest) -> pd.DataFrame:
    return at.dataframe[1].value  # the first is the list of runs


@pytest.mark.parametrize("foretelling", FORETOLD, indirect=True)
def test_every_output_gets_its_picture_and_rows_with_the_largest_misses_first_if_asked(
    foretelling: FakeEngine, visit: Visit, says: Says
) -> None:
    at = visit("runs", run="d")
    output = foretelling.foretold["output"]
    alts = [chart.proto.alt for chart in at.get("plotly_chart")]
    drawn = {"binary": "Reliability curve", "regression": "Mean prediction", "multi_class": "Confusion matrix of 2"}
    if output == "actions":
        assert "0.710 ±0.020" in says(at)
        assert "&lt;img src=x" in says(at)
    else:
        assert any(alt.startswith(drawn[output]) for alt in alts)
    rows = shown_rows(at)
    assert rows["title"].iloc[0] == "Alien (1979)"
    assert "item_id" not in rows
    at.toggle("misses.d").set_value(True).run()
    assert not at.exception
    assert shown_rows(at)["user_id"].tolist() == ["u2", "u1"]
    assert not foreign_markup(at)


def test_users_that_train_never_met_are_called_new(trained: FakeEngine, visit: Visit) -> None:
    trained.foretold = {"output": "binary", "reliability": []}
    trained.shown = pd.DataFrame(
        {"user_id": [None], "item_id": ["i1"], "title": [None], "truth": [True], "predicted": [0.5], "miss": [0.5]}
    )
    rows = shown_rows(visit("runs", run="d"))
    assert rows.iloc[0, :3].tolist() == ["new user", "i1", "liked"]


@pytest.mark.parametrize(
    ("model", "sentence"), [("two_tower", "trained for choice"), ("ease", "fitted to rank"), ("dlrm", "stored no predictions")]
)
def test_where_nothing_is_predicted_a_sentence_says_why(trained: FakeEngine, visit: Visit, says: Says, model: str, sentence: str) -> None:
    trained.runs.append(run("x", model))
    assert sentence in says(visit("runs", run="x"))


def test_alarms_of_a_finished_run_stand_at_its_top(trained: FakeEngine, visit: Visit) -> None:
    trained.signs["d"] = ["Every test row has the same logit.", HOSTILE]
    at = visit("runs", run="d")
    assert at.warning[0].value.count("\n- ") == 1
    assert "the same logit" in at.warning[0].value
    assert not foreign_markup(at)
    trained.signs.clear()
    assert not visit("runs", run="d").warning


def test_metrics_of_all_families_are_shown_with_the_way_that_is_better(trained: FakeEngine, visit: Visit) -> None:
    found = {"auc": 0.7, "calibration": 1.02, "rmse": 0.9, "accuracy": 0.4, "action_auc": 0.6}
    trained.runs.append(run("m", "dlrm", metrics=found))
    shown = {metric.label: metric.value for metric in visit("runs", run="m").metric}
    assert shown["Calibration → 1"] == "1.02"
    assert {"AUC ↑", "RMSE ↓", "Accuracy ↑", "Mean action AUC ↑"} <= set(shown)


def test_compare_points_calibration_at_one(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs[1] = run("d", "dlrm", metrics={"auc": 0.7, "calibration": 1.02})
    said = says(visit("compare", runs="a,d"))
    assert "Calibration</abbr> → 1" in said
    assert "Closest to 1 is best." in said


def test_a_finished_network_goes_on_once_a_click(trained: FakeEngine, visit: Visit) -> None:
    at = visit("runs", run="d")
    at.number_input("continue.epochs.d").set_value(3).run()
    go = button(at, "Continue")
    go.click().run()
    go.click().run()  # the second click of a double click
    assert [(spec.continues, spec.train.epochs, spec.title) for spec, _ in trained.submitted] == [("d".rjust(32, "0"), 3, "It · continued")]


def test_only_a_finished_network_can_go_on_and_a_refusal_is_told(trained: FakeEngine, visit: Visit, says: Says) -> None:
    trained.runs += [run("e", "ease"), run("f", "dlrm", RunState.FAILED)]
    for run_id in ("e", "f"):
        assert "Continue" not in [b.label for b in visit("runs", run=run_id).button]
    trained.refuses = LookupError(f"The weights are not in {HOSTILE}.")
    at = visit("runs", run="d")
    assert "The weights are not in" in at.info[0].value
    assert not foreign_markup(at)


def test_a_run_that_continues_another_leads_to_it(trained: FakeEngine, visit: Visit, says: Says) -> None:
    first = "a" * 32
    spec = run("c", "dlrm").spec | {"continues": first}
    trained.runs += [run("c", "dlrm", spec=spec), run(first, "dlrm", title=HOSTILE)]
    at = visit("runs", run="c")
    assert "Continues \\*\\*Bold" in says(at)
    assert not foreign_markup(at)
    trained.runs.pop()
    assert "which is no longer in this workspace" in says(visit("runs", run="c"))


def test_runs_of_one_title_are_told_apart_by_their_seed(trained: FakeEngine, visit: Visit) -> None:
    trained.runs = [run("a", "dlrm"), run("b", "dlrm"), run("c", "deepfm")]
    trained.runs[1].spec["train"]["seed"] = 2
    shown = visit("runs").dataframe[0].value["Run"].tolist()
    assert [name.rpartition(" · ")[2] for name in shown] == ["seed 1", "seed 2", "dim 16"]
    assert engine.specs.MODELS["dlrm"]().title in shown[0]
