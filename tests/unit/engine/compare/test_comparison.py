"""Contenders of a comparison: whose seeds stand as one, who is best, and which facts a model has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import bootstrap

import engine
from engine import runs
from engine.compare import comparison, facts
from engine.compare.intervals import intervals, within
from tests.records import DATASET, run
from workers.artifacts.results import METRICS

Add = Callable[..., str]


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Add:
    """Remember a finished run: its model's settings, its seed, its metrics; no store, no folder, no baselines."""
    known: dict[str, engine.runs.Run] = {}
    ends: dict[str, dict[str, Any]] = {}
    users: dict[str, pd.DataFrame] = {}

    def added(run_id: str, kind: str = "two_tower", seed: int = 1, ndcg: float = 0.2, end: Any = None, **settings: Any) -> str:
        spec = engine.specs.RunSpec(dataset=DATASET, model=engine.specs.MODELS[kind](**settings), train=engine.specs.TrainSpec(seed=seed))
        known[run_id] = run(run_id, kind, spec=spec.model_dump(mode="json"), title=spec.title, metrics={"ndcg_at_10": ndcg})
        ends[run_id] = {"metrics": {"ndcg_at_10": ndcg}} | (end or {})
        spread = np.linspace(-0.05, 0.05, 40)
        users[run_id] = pd.DataFrame({"user_id": [str(at) for at in range(40)], "ndcg_at_10": ndcg + spread})
        return run_id

    def history(run_id: str) -> pd.DataFrame:
        steps = [1, 2, 3] if known[run_id].training.train.seed == 1 else [1, 2]
        value = known[run_id].metrics["ndcg_at_10"]
        return pd.DataFrame({"metric": "valid_ndcg_at_10", "step": steps, "epoch": steps, "rows": 10, "time_s": 1.0, "value": value})

    for name, found in (("get_run", known.__getitem__), ("done", ends.__getitem__), ("per_user", users.__getitem__), ("history", history)):
        monkeypatch.setattr(runs, name, found)
    for name in ("damage_of", "why_incomplete"):
        monkeypatch.setattr(runs, name, lambda run_id: None)
    monkeypatch.setattr(runs, "list_runs", lambda kind, dataset: list(known.values()))
    monkeypatch.setattr(runs, "alarms", lambda run_id: ends[run_id].get("alarms", []))
    monkeypatch.setattr(comparison, "_baselines", lambda dataset: {})
    return added


def cell(found: engine.compare.Comparison, metric: str, letter: str) -> Any:
    return found.table.set_index(["metric", "contender"]).loc[(metric, letter)]


def test_runs_that_differ_in_their_seed_alone_are_one_contender(add: Add) -> None:
    ids = [add("a", ndcg=0.2), add("w", embedding_dim=8), add("b", seed=2, ndcg=0.22), add("again", ndcg=0.3), add("c", seed=3, ndcg=0.24)]
    found = engine.compare.compare(ids)
    assert engine.compare.seed_groups(ids) == [["a", "b", "c"], ["w"], ["again"]]  # a seed that was run twice counts once
    assert [c.run_ids for c in found.contenders] == [("a", "b", "c"), ("w",), ("again",)]
    assert found.contenders[0].name.endswith(" · 3 seeds")
    one = cell(found, "ndcg_at_10", "A")
    assert (one["value"], one["std"]) == (pytest.approx(0.22), pytest.approx(0.02))
    assert one["low"] < 0.22 < one["high"]
    assert np.isnan(cell(found, "ndcg_at_10", "B")["std"])
    curve = found.curves[found.curves["contender"] == "A"]
    assert (curve["step"].tolist(), curve["value"].tolist()) == ([1, 2], pytest.approx([0.22, 0.22]))  # as far as all went on
    seeds = found.differences.set_index("setting").loc["train.seed"]
    assert (seeds["A"], seeds["B"]) == ("1, 2, 3", "1")


def test_seeds_can_be_set_apart_and_any_of_a_group_be_the_baseline(add: Add) -> None:
    ids = [add("w", embedding_dim=8), add("a"), add("b", seed=2)]
    assert engine.compare.seed_groups(ids, seeds=False) == [["w"], ["a"], ["b"]]
    apart = engine.compare.compare(ids, seeds=False).contenders
    assert [c.run_id for c in apart] == ids
    assert [c.name.rsplit(" · ", 1)[1] for c in apart] == ["dim 8", "seed 1", "seed 2"]  # what nothing else tells apart
    assert engine.compare.compare(ids, baseline="b").against == "B"


def test_intervals_are_scipys() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.normal(size=300), rng.integers(0, 2, 300).astype(float), np.ones(300), np.full(300, np.nan)], axis=1)
    found = intervals(values)
    for column, ends in zip(values.T[:2], found, strict=False):
        theirs = bootstrap((column,), np.mean, n_resamples=2000, method="percentile", rng=7).confidence_interval
        assert ends == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert np.isnan(found[2:]).all()  # all alike, or nothing known
    some = values[:, :1].copy()
    some[::3] = np.nan
    theirs = bootstrap((some[np.isfinite(some)],), np.mean, n_resamples=2000, method="percentile", rng=7).confidence_interval
    assert intervals(some)[0] == pytest.approx((theirs.low, theirs.high), abs=0.03)  # other resamples of the same 200 users
    assert np.isnan(intervals(np.arange(9.0)[:, None])).all() and np.isnan(intervals(np.zeros((0, 2)))).all()


@given(
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.0, float("inf"))]),
    st.floats(0.001, 0.999),
    st.floats(1e-6, 10),
    st.integers(10, 10_000),
)
def test_intervals_stay_inside_the_bounds_of_their_metric(bounds: tuple[float, float], share: float, error: float, n: int) -> None:
    low, high = bounds
    value = low + share * (2 if high == 1 and low else 1)
    ends = within(bounds, value, error, n)
    assert low <= ends[0] <= value <= ends[1] <= high
    tight = within(bounds, value, 1e-5, n)
    assert tight[1] - tight[0] == pytest.approx(2e-5 * stats.t.ppf(0.975, n - 1), rel=0.05)


def test_a_value_at_a_bound_and_few_users_have_no_interval() -> None:
    for value, error, n in ((1.0, 0.1, 50), (0.0, 0.1, 50), (0.5, 0.0, 50), (0.5, 0.1, 9), (0.5, NO, 50)):
        assert np.isnan(within((0.0, 1.0), value, error, n)).all()


NO = float("nan")


def judged(*values: tuple[str, float, float], metric: str = "ndcg_at_10", **models: str) -> engine.compare.MetricVerdict:
    """The verdict of contenders that were not tested, of letter, value and deviation between seeds; letters of several characters are
    baselines."""
    table = pd.DataFrame([(metric, *row) for row in values], columns=["metric", "contender", "value", "std"])
    contenders = [
        engine.compare.Contender(
            letter=letter, run_id=None if len(letter) > 1 else letter, name=letter, model=models.get(letter, letter), color_index=at
        )
        for at, (letter, *_) in enumerate(values)
    ]
    nothing = pd.DataFrame()
    made = engine.compare.Comparison(
        contenders=contenders, dataset=DATASET, apart=[], table=table, curves=nothing, differences=nothing, costs=nothing, users=1
    )
    return engine.compare.judge(made, {}).metrics[metric]


@pytest.fixture
def no_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "alarms", lambda run_id: [])


@pytest.mark.usefixtures("no_alarms")
def test_nobody_wins_what_was_not_tested() -> None:
    found = judged(("A", 0.3, NO), ("B", 0.2, NO), ("pop", 0.1, NO), pop="popularity")
    assert (found.leader, found.unsure_of, found.winner) == ("A", ("B", "pop"), None)
    assert {pair.reason for pair in found.runs} == {engine.compare.Reason.UNTESTED}
    assert judged(("A", 0.3, NO)).leader is None  # who is alone wins nothing
    assert judged(("A", 0.3, NO), ("B", 0.3, NO)).leader is None
    assert judged(("A", 0.9, NO), ("B", 0.8, NO), metric="rmse").leader == "B"


@pytest.mark.usefixtures("no_alarms")
def test_what_is_best_at_one_has_no_crown() -> None:
    with pytest.raises(KeyError):
        judged(("A", 0.9, NO), ("B", 0.8, NO), metric="calibration")
    assert not METRICS["calibration"].crowned


def test_a_baseline_that_is_also_a_run_stands_once(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"popularity": {"ndcg_at_10": 0.1}, "random": {"ndcg_at_10": 0.01}}
    monkeypatch.setattr(comparison, "_baselines", lambda dataset: known)
    monkeypatch.setattr(comparison.datasets, "baseline_per_user", lambda dataset, name: None)
    found = engine.compare.compare([add("a"), add("p", "popularity", ndcg=0.1)])
    assert [c.letter for c in found.contenders] == ["A", "B", "rnd"]
    assert found.against == "B"  # the run is what differences to popularity are taken from
    assert cell(found, "ndcg_at_10", "A")["delta"] == pytest.approx(0.1)


def test_a_fitted_model_has_no_batches_and_shows_what_it_tuned(add: Add) -> None:
    found = engine.compare.compare([add("e", "ease", end={"chosen": {"l2": 100.0}}), add("d", "dlrm")])
    settings = found.differences.set_index("setting")
    assert settings.loc["model.l2", "A"] == "100 (tuned)"
    assert pd.isna(settings.loc["model.l2", "B"])
    assert "train.batch_size" not in settings.index or pd.isna(settings.loc["train.batch_size", "A"])
    assert "train.seed" not in settings.index
    costs = found.costs.set_index("fact")
    assert np.isnan(costs.loc["Throughput", "A"])
    assert costs.loc["Throughput", "B"] > 0
    assert costs.loc["Training time", "A"] > 0
    assert "Checkpoint" not in costs.index  # nobody has it
    assert set(found.curves["contender"]) == {"B"}  # steps of a fitted model are trials


def test_all_settings_are_told_beside_those_that_differ(add: Add) -> None:
    found = engine.compare.compare([add("a", embedding_dim=8), add("b", embedding_dim=16)])
    assert found.differences["setting"].tolist() == ["model.embedding_dim"]
    assert "train.batch_size" in found.settings["setting"].tolist()


AGAIN = {"protocol": {"exclude_seen": False}}


@pytest.mark.fault("F64")
def test_a_run_measured_under_another_protocol_stands_apart(add: Add) -> None:
    shorter = {"protocol": engine.specs.RunSpec.model_fields["protocol"].default.model_dump() | {"list_length": 10}}
    ids = [add("old"), add("again", end=AGAIN), add("shorter", end=shorter, embedding_dim=8)]
    found = engine.compare.compare(ids)
    assert [c.run_id for c in found.contenders] == ["old", "shorter"]  # how much of a list was kept makes no difference
    ((title, reason),) = found.apart
    assert title == runs.get_run("again").title
    assert reason == "was measured with the items that users met before, the others without the items that users met before"
    assert set(found.table["contender"]) == {"A", "B"}
    assert [c.run_id for c in engine.compare.compare(["again", "old"]).contenders] == ["again"]
    assert engine.compare.seed_groups(ids) == [["old"], ["shorter"]]


def test_baselines_of_another_protocol_are_left_out_and_it_is_said(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"popularity": {"ndcg_at_10": 0.1, "auc": 0.6}, "oracle": {"auc": 0.8}}
    monkeypatch.setattr(comparison, "_baselines", lambda dataset: known)
    monkeypatch.setattr(comparison.datasets, "baseline_per_user", lambda dataset, name: None)
    ids = [add("a", end=AGAIN), add("b", end=AGAIN, embedding_dim=8, ndcg=0.3)]
    found = engine.compare.compare(ids)
    assert [c.letter for c in found.contenders] == ["A", "B", "best"]
    assert found.apart == [
        ("Popularity", "was measured without the items that users met before, the runs with the items that users met before")
    ]
    assert found.against == "best"
    assert cell(found, "ndcg_at_10", "B")["best"] and not cell(found, "ndcg_at_10", "A")["best"]
    assert np.isnan(cell(found, "ndcg_at_10", "B")["delta"])
    assert [c.letter for c in engine.compare.compare([add("c"), add("d", embedding_dim=16)]).contenders] == ["A", "B", "pop", "best"]


def test_costs_of_seeds_are_their_mean(add: Add) -> None:
    add("a")
    first, second = runs.get_run("a"), runs.get_run(add("b", seed=2))
    slow = second.model_copy(update={"resources": second.resources | {"training_s": 37.5}})
    assert facts.costs({"A": [first, slow]}).set_index("fact").loc["Training time", "A"] == pytest.approx(25)


@pytest.mark.usefixtures("no_alarms")
def test_the_oracle_wins_nothing_and_may_be_what_deltas_are_against() -> None:
    found = judged(("A", 0.7, NO), ("rnd", 0.5, NO), ("best", 0.8, NO), metric="auc", best="oracle", rnd="random")
    assert (found.leader, found.best_possible) == (None, 0.8)  # who is alone with a random order that was not tested wins nothing
    assert judged(("A", 0.6, NO), ("best", 0.5, NO), metric="log_loss", best="oracle").leader is None  # no competitor
    assert judged(("A", 0.9, NO), ("mean", 0.8, NO), metric="set_rmse", mean="user_mean").leader == "mean"  # a contender like any other
    table = pd.DataFrame([("auc", "A", 0.7), ("auc", "rnd", 0.5), ("auc", "best", 0.8)], columns=["metric", "contender", "value"])
    deltas = comparison._with_difference(table, "best").set_index("contender")["delta"]
    assert deltas.round(6).dropna().to_dict() == {"A": -0.1, "rnd": -0.3}


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_a_difference_that_matters_is_a_share(add: Add, threshold: float) -> None:
    with pytest.raises(ValueError, match="choose a share of a value"):
        engine.compare.compare([add("a")], threshold=threshold)


def test_times_of_one_fit_and_of_trying_many_settings_are_not_compared(add: Add) -> None:
    ids = [add("a", "ease", ndcg=0.3, l2=100.0), add("b", "ease", ndcg=0.2), add("c", "ease", ndcg=0.2, l2=10.0)]
    slow = runs.get_run("a")
    runs.get_run("a").resources["training_s"] = 100.0
    assert slow.resources["training_s"] == 100.0
    assert engine.compare.verdict_of(engine.compare.compare(ids[:2])).metrics["ndcg_at_10"].cost is None
    fixed = engine.compare.verdict_of(engine.compare.compare([ids[0], ids[2]])).metrics["ndcg_at_10"].cost
    assert fixed is not None and fixed.run_s == 100.0


def test_deltas_are_against_the_chosen_baseline_or_the_first() -> None:
    def contender(letter: str, model: str, run_id: str | None = None) -> engine.compare.Contender:
        return engine.compare.Contender(letter=letter, run_id=run_id, name=model, model=model, color_index=0)

    run = contender("A", "dlrm", "r1")
    click_data = [run, contender("rnd", "random"), contender("best", "oracle")]
    assert comparison._against("oracle", click_data) == "best"
    assert comparison._against("r1", click_data) == "A"
    assert comparison._against("popularity", click_data) == "rnd"
    assert comparison._against("dlrm", click_data) == "A"
    assert comparison._against("popularity", [run]) == "A"
