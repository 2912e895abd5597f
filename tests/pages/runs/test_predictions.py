"""What a finished run predicts, what is wrong with it, and how it goes on, as the Runs page shows it."""

import shutil

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import engine
from engine.runs import store
from tests import workspace
from tests.pages.reading import Says, Visit, button, foreign_markup, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.shared import words
from workers.evaluation import few_users

PICTURES = {"binary": "Reliability curve", "regression": "Mean prediction", "multi_class": "Confusion matrix of 2"}


@pytest.fixture(scope="session")
def every_output(bare: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a DLRM of every output, to read."""
    folder = tmp_path_factory.mktemp("outputs") / "workspace"
    return workspace.build_predictions(workspace.copy(bare, folder), HOSTILE)


@pytest.fixture
def predicting(every_output: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(every_output.folder))
    return every_output


def shown_rows(at: AppTest) -> pd.DataFrame:
    return at.dataframe[1].value  # the first is the list of runs


@pytest.mark.parametrize("output", ("binary", "regression", "multi_class", "actions"))
def test_every_output_gets_its_picture_and_rows_with_the_largest_misses_first_if_asked(
    predicting: Workspace, visit: Visit, says: Says, output: str
) -> None:
    run_id = predicting.runs[output]
    at = visit("runs", run=run_id)
    tables = engine.runs.outputs(run_id)
    assert tables["output"] == output
    alts = [chart.proto.alt for chart in at.get("plotly_chart")]
    if output == "actions":
        said = says(at)
        for action in tables["actions"]:
            assert f"{words.number(action['auc'], 3)} ±{words.number(1.96 * action['auc_se'], 3)}" in said
        assert "&lt;img src=x" in said
    else:
        assert any(alt.startswith(PICTURES[output]) for alt in alts)
    found, rows = engine.runs.sample_predictions(run_id), shown_rows(at)
    assert rows["title"].tolist() == found["title"].map(lambda title: words.plain(title, 80)).tolist()
    assert HOSTILE in set(found["title"])
    assert "item_id" not in rows
    at.toggle(f"misses.{run_id}").set_value(True).run()
    assert not at.exception
    worst = found.sort_values("miss", ascending=False, kind="stable")
    assert shown_rows(at)["user_id"].tolist() == worst["user_id"].fillna("new user").tolist()
    assert shown_rows(at)["miss"].is_monotonic_decreasing
    assert not foreign_markup(at)


def test_users_that_train_never_met_are_called_new(shared: Workspace, visit: Visit) -> None:
    found = engine.runs.sample_predictions(shared.runs["dlrm"])
    new = found[found["user_id"].isna()]
    assert len(new) == 2  # both rows of the user who is met in test alone
    rows = shown_rows(visit("runs", run=shared.runs["dlrm"])).loc[new.index]
    assert rows["user_id"].tolist() == ["new user"] * 2
    assert rows["truth"].tolist() == ["liked" if truth else "not liked" for truth in new["truth"]]


@pytest.mark.parametrize("name", ("two_tower", "ease"))
def test_where_nothing_is_predicted_a_sentence_says_why(shared: Workspace, visit: Visit, says: Says, name: str) -> None:
    why = engine.runs.why_no_predictions(shared.run(name))
    assert why and why in plainly(says(visit("runs", run=shared.runs[name])))


def test_a_run_that_left_no_predictions_says_so(own: Workspace, visit: Visit, says: Says) -> None:
    (own.path("dlrm") / "results" / "outputs.json").unlink()
    assert engine.runs.why_no_predictions(own.run("dlrm")) is None
    assert "stored no predictions" in says(visit("runs", run=own.runs["dlrm"]))


def test_alarms_of_a_finished_run_stand_at_its_top(own: Workspace, visit: Visit) -> None:
    assert not engine.runs.alarms(own.runs["deepfm"]) and not visit("runs", run=own.runs["deepfm"]).warning
    own.change(own.path("deepfm") / "done.json", alarms=["Every test row has the same logit.", HOSTILE])
    at = visit("runs", run=own.runs["deepfm"])
    assert at.warning[0].value.count("\n- ") == 1
    assert "the same logit" in at.warning[0].value
    assert not foreign_markup(at)


def test_a_run_without_users_to_rank_says_so_with_the_cause_and_what_to_do(own: Workspace, visit: Visit, says: Says) -> None:
    counts = {"interactions": {"test": 10_000}, "cold_user_rows_test": 8582}
    own.change(own.path("deepfm") / "done.json", alarms=few_users(0, counts))
    said = plainly(visit("runs", run=own.runs["deepfm"]).warning[0].value)
    assert "no test user can be ranked for: 8,582 of 10,000 test rows are of users that train does not have; split per user" in said


def test_metrics_of_all_families_are_shown_with_the_way_that_is_better(own: Workspace, visit: Visit) -> None:
    also = {"test_calibration": 1.02, "test_rmse": 0.9, "test_accuracy": 0.4, "test_action_auc": 0.6}
    store.log_final(own.runs["dlrm"], also)
    shown = {metric.label: metric.value for metric in visit("runs", run=own.runs["dlrm"]).metric}
    assert shown["Calibration → 1"] == "1.02"
    assert {"AUC ↑", "RMSE ↓", "Accuracy ↑", "Mean action AUC ↑"} <= set(shown)


def test_a_finished_network_goes_on_once_a_click(own: Workspace, drivers: None, visit: Visit) -> None:
    run_id = own.runs["dlrm"]
    at = visit("runs", run=run_id)
    at.number_input(f"continue.epochs.{run_id}").set_value(4).run()
    go = button(at, "Continue")
    go.click().run()
    go.click().run()  # the second click of a double click
    (run,) = own.launched()
    assert (run.training.continues, run.training.train.epochs) == (run_id, 4)
    assert run.title == f"{own.run('dlrm').title} · continued"


def test_only_a_finished_network_can_go_on_and_a_refusal_is_told(own: Workspace, visit: Visit) -> None:
    for name in ("ease", "failed", "running"):
        assert "Continue" not in [b.label for b in visit("runs", run=own.runs[name]).button]
    engine.runs.rename(own.runs["dlrm"], HOSTILE)
    shutil.rmtree(own.path("dlrm") / "checkpoint")
    at = visit("runs", run=own.runs["dlrm"])
    assert "are not in this workspace" in at.info[0].value
    assert not foreign_markup(at)


def test_a_run_that_continues_another_leads_to_it(own: Workspace, drivers: None, visit: Visit, says: Says) -> None:
    more = engine.runs.submit(engine.runs.continued(own.runs["dlrm"], 2))
    engine.runs.rename(own.runs["dlrm"], HOSTILE)
    at = visit("runs", run=more)
    assert "Continues \\*\\*Bold" in says(at)
    assert not foreign_markup(at)
    own.forget(own.runs["dlrm"])
    assert "which is no longer in this workspace" in says(visit("runs", run=more))


def test_runs_of_one_title_are_told_apart_by_their_seed(shared: Workspace, visit: Visit) -> None:
    shown = visit("runs").dataframe[0].value["Run"].tolist()
    assert sorted(name.rpartition(" · ")[2] for name in shown if name.startswith("Two-tower")) == ["seed 1", "seed 1", "seed 2", "seed 3"]
    assert [name for name in shown if name.startswith("DeepFM")] == [words.plain(shared.run("deepfm").title, 80)]
