"""Whether more data would help, and whether it holds next month, on the Compare page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import engine
from engine.compare import backtest, growth
from engine.compute import Compute, save
from engine.datasets import DatasetSpec
from engine.specs import RunSpec
from tests import prepared, workspace
from tests.pages.reading import Says, Visit, plainly
from tests.workspace import Workspace

MORE, NEXT = "Would more data help?", "Will it hold next month?"


def test_curves_are_drawn_from_runs_on_shares_and_the_button_trains_the_others(own: Workspace, visit: Visit, says: Says) -> None:
    at = visit("compare", runs=own.ids("ease10", "item_knn"))
    assert MORE in [header.value for header in at.header]
    (button,) = [one for one in at.button if one.label.startswith("Train on")]
    assert button.label == "Train on 10, 25 and 50 % of the users"
    with workspace.trainer() as train:
        made = [train(spec) for spec in growth.missing_runs(own.runs["ease10"])]
    assert growth.missing_runs(own.runs["ease10"]) == []
    assert [engine.runs.get_run(run_id).title.split(" · ")[-1] for run_id in made] == ["10 % of users", "25 % of users", "50 % of users"]
    comparison = engine.compare.compare([own.runs["ease10"], own.runs["item_knn"]])
    curve, alone = growth.learning_curves(comparison, "ndcg_at_10").curves
    assert [point.share for point in curve.points] == [0.1, 0.25, 0.5, 1.0]
    assert [point.rows for point in curve.points] == sorted(point.rows for point in curve.points)
    assert curve.points[-1].value == engine.runs.get_run(own.runs["ease10"]).metrics["ndcg_at_10"]
    assert all(point.low <= point.value <= point.high for point in curve.points)
    assert (len(alone.points), alone.missing) == (1, (0.1, 0.25, 0.5))
    at = visit("compare", runs=own.ids("ease10", "item_knn"))
    said = plainly(says(at))
    assert "**A EASE**: NDCG@10" in said and "The same test users for all shares" in said
    assert [one.label for one in at.button if one.label.startswith("Train on")] == ["Train on 10, 25 and 50 % of the users"]  # item-kNN
    at = visit("compare", runs=f"{own.runs['ease10']},{made[0]}")
    assert "Unequal data: B learned from 10 % of the users, the others from all of them" in plainly(says(at))


def _computes_where_it_is_said(own: Workspace, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, asked = Compute(name="eight", master="spark://host:7077"), list[Compute]()
    save(cluster)

    def submit(*_: object, **__: object) -> str:
        asked.append(engine.compute.current())
        raise ValueError("It is enough to know where.")

    with monkeypatch.context() as patched:
        patched.setattr("engine.compare.backtest.plan.runs.submit", submit)
        at = visit("compare", runs=own.ids("ease", "popularity"), cuts="3", backtest_compute="eight")
        at.button("compare.backtest.launch").click().run()
    assert "It is enough to know where" in at.error[0].value
    assert asked == [cluster]


@pytest.fixture
def mixed(own: Workspace, tmp_path: Path) -> Workspace:
    """The workspace with a dataset whose users meet films all the time, and EASE and popularity on it."""
    path = prepared.write_films(tmp_path / "mixed")
    ratings = pd.read_csv(path)
    ratings["time"] = np.random.default_rng(3).permutation(len(ratings)) * 3600 + 1_600_000_000
    ratings.to_csv(path, index=False)
    dataset = prepared.prepare(own.folder, prepared.films_spec(path, "mixed"))
    with workspace.trainer() as train:
        models = {"ease": {"kind": "ease", "l2": 10}, "popularity": {"kind": "popularity"}}
        made = {name: train(RunSpec.model_validate({"dataset": dataset, "model": model})) for name, model in models.items()}
    return own._replace(films=dataset, runs=own.runs | made)


def test_a_backtest_is_planned_prepared_and_compared_window_by_window(
    mixed: Workspace, visit: Visit, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = mixed
    at = visit("compare", runs=own.ids("ease", "popularity"), cuts="3")
    assert NEXT in [header.value for header in at.header]
    at.button("compare.backtest.plan").click().run()
    assert not at.exception
    plan = backtest.known_plan(own.films, 3)
    assert plan is not None
    assert plan.cuts[0].dataset == own.films  # the newest cut is the dataset itself, whose runs count
    assert "Missing: 2 preparations and 4 trainings" in plainly(says(at))
    _computes_where_it_is_said(own, visit, monkeypatch)
    for cut in plan.cuts[1:]:
        assert prepared.prepare(own.folder, DatasetSpec.model_validate(cut.spec)) == cut.dataset
    ids, letters = [own.runs["ease"], own.runs["popularity"]], ["A", "B"]
    missing = backtest.progress_of(plan, ids, letters).missing
    assert [(one.letter, one.cut) for one in missing] == [("A", 1), ("B", 1), ("A", 2), ("B", 2)]
    with workspace.trainer() as train:
        for one in missing:
            train(one.spec)
    found = backtest.progress_of(plan, ids, letters)
    assert found.missing == []
    for run_id in ids:  # on its own window a model is not stale at all
        run = engine.runs.get_run(run_id)
        own_window = backtest.measured_on(run_id, own.films)
        assert own_window["ndcg_at_10"] == pytest.approx(run.metrics["ndcg_at_10"], abs=1e-9)
    older = backtest.measured_on(next(one.run_id for one in found.entries if one.cut == 2) or "", own.films)
    assert 0 <= older["ndcg_at_10"] <= 1
    windows = backtest.windows_of(found, "ndcg_at_10", 10, "later")
    newest = [engine.runs.get_run(run_id).metrics["ndcg_at_10"] for run_id in ids]
    assert windows.values[0].tolist() == newest
    assert all(window.users for window in windows.windows)
    at = visit("compare", runs=own.ids("ease", "popularity"), cuts="3")
    said = plainly(says(at))
    assert "has the better NDCG@10 in" in said and "of 3 windows than" in said
    assert not [one for one in at.button if one.key == "compare.backtest.launch"]
