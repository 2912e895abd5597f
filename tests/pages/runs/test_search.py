"""The page of a run that searches: its trials and their best, which settings mattered, and what was tried."""

import json
import sys
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine import compare
from engine.searches import Search, SearchTrial
from tests.pages.reading import Says, Visit, foreign_markup, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.runs import search as drawn
from workers.search import trial_folder


def figures(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def test_a_finished_search_shows_its_trials_the_best_and_what_mattered(shared: Workspace, visit: Visit, says: Says) -> None:
    at = visit("runs", run=shared.runs["item_knn"])
    said = plainly(says(at))
    assert {m.label: m.value for m in at.metric}["Trials"] == "20 of 20"
    assert "Chosen, trial" in said.replace("**", "") and "Neighbours" in said
    names = [line.get("name") for line in figures(at)[0]["data"]]
    assert names == ["Best so far", "through"]
    kinds = [line["type"] for one in figures(at) for line in one["data"]]
    assert "bar" in kinds and "parcoords" in kinds


def test_a_search_under_way_says_where_it_is(own: Workspace, visit: Visit, says: Says) -> None:
    search = {"trials": 9, "space": {"model.embedding_dim": {"choices": [8, 16, 32]}}}
    own.respecify("running", model={"kind": "dlrm"}, search=search)
    run_dir = own.path("running")
    progress = {"phase": "training", "step": 1, "total": 10, "epoch": 2, "epochs": 10, "trial": 4, "trials": 9}
    own.change(run_dir / "progress.json", **progress)
    ends = [("done", 0.71, {}), ("pruned", 0.65, {}), ("failed", None, {"why": f"loss is nan {HOSTILE}"})]
    for number, (state, value, more) in enumerate(ends):
        folder = trial_folder(run_dir, number)
        folder.mkdir(parents=True)
        facts = {"valid": {} if value is None else {"auc": value}, "seconds": 3.0, "learned": {"metric": "auc"}, **more}
        kept = {"number": number, "settings": {"model.embedding_dim": 8 * 2**number}, "state": state, "value": value, "facts": facts}
        (folder / "trial.json").write_text(json.dumps(kept))
    at = visit("runs", run=own.runs["running"])
    said = plainly(says(at))
    assert {m.label: m.value for m in at.metric}["Trial"] == "4 of 9"
    assert "Best so far**, trial 1: Embedding dim 8" in said
    assert "1 through, 1 ended early, 1 failed. The last failure: loss is nan" in said
    assert "6 to go" in said
    assert not foreign_markup(at)
    assert "Curves of the best" not in said
    assert [line["name"] for line in figures(at)[0]["data"]] == ["Best so far", "through", "ended early", "failed"]


def test_the_curves_of_the_best_trial_are_shown_and_compared(own: Workspace, visit: Visit, says: Says) -> None:
    own.respecify("dlrm", search={"trials": 2})
    folder = trial_folder(own.path("dlrm"), 1)
    folder.mkdir(parents=True)
    facts = {"valid": {"auc": 0.7}, "seconds": 3.0, "learned": {"metric": "auc"}}
    ended = {"number": 1, "settings": {"model.embedding_dim": 8}, "state": "done", "value": 0.7, "facts": facts}
    (folder / "trial.json").write_text(json.dumps(ended))
    points = [{"step": 4 * n, "epoch": n, "rows": n, "time": n, "values": {"train_loss": 0.5, "valid_auc": 0.6 + n / 100}} for n in (1, 2)]
    (folder / "journal.jsonl").write_text("".join(json.dumps(point) + "\n" for point in points))
    assert "Curves of the best, trial 2" in says(visit("runs", run=own.runs["dlrm"]))
    found = compare.compare([own.runs["dlrm"], own.runs["two_tower"]])
    mine = found.curves[(found.curves["contender"] == "A") & (found.curves["metric"] == "valid_auc")]
    assert mine["value"].tolist() == [0.61, 0.62]


def test_a_page_without_a_search_loads_no_optuna(shared: Workspace, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "optuna"]:
        monkeypatch.delitem(sys.modules, name)
    visit("runs", run=shared.runs["dlrm"])
    visit("compare", runs=shared.ids("ease", "item_knn"))
    visit("train", dataset=shared.films)
    assert not [name for name in sys.modules if name.partition(".")[0] == "optuna"]


def trial(number: int, value: float | None, loss: float = 0.0) -> SearchTrial:
    valid = {} if value is None else {"log_loss": loss}
    return SearchTrial(number, {"x": number}, "failed" if value is None else "done", value, valid, 1.0)


def test_the_best_so_far_is_of_the_metric_even_where_less_is_better() -> None:
    search = Search("r", (trial(1, None), trial(2, -0.5, 0.5), trial(3, -0.6, 0.6), trial(4, -0.4, 0.4)), 4, None, "tpe", "log_loss")
    assert drawn.best_so_far(search) == [(2, 0.5), (3, 0.5), (4, 0.4)]
