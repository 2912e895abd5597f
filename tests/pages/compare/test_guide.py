"""The guide's measured columns: the best of each kind, what it reads as the network itself has it, and dashes where nothing is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import engine
from engine import datasets, runs
from engine.compare import Comparison, Contender, StageFacts
from engine.compare.advice import _is_read
from tests.pages.fake import FakeEngine
from tests.pages.reading import Says, Visit
from tests.records import DATASET, HOSTILE, SCHEMA, dataset, run
from ui.compare import guide as page
from workers.models.base import NetworkSpec
from workers.networks.ranker import used

NO = float("nan")
NETWORKS = [kind for kind, spec in engine.specs.MODELS.items() if issubclass(spec, NetworkSpec)]


def made(*of: tuple[str, str, dict[str, float]], costs: Any = None) -> Comparison:
    """A comparison of contenders: letter, model, metrics."""
    contenders = [
        Contender(letter=letter, run_id=letter.lower(), name=f"{model} {letter}", model=model, color_index=at)
        for at, (letter, model, _) in enumerate(of)
    ]
    rows = [(key, letter, value) for letter, _, metrics in of for key, value in metrics.items()]
    frame = pd.DataFrame(costs or [], columns=["fact", "unit", *(letter for letter, _, _ in of)])
    table = pd.DataFrame(rows, columns=["metric", "contender", "value"])
    nothing = pd.DataFrame()
    return Comparison(
        contenders=contenders, dataset=DATASET, apart=[], table=table, curves=nothing, differences=nothing, costs=frame, users=1
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs by id, each of the model's own settings, and one dataset."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(runs, "get_run", found.__getitem__)
    monkeypatch.setattr(datasets, "get_dataset", lambda id: dataset())
    return found


def test_the_best_of_each_kind_is_measured_and_fitted_models_are_neither(known: dict[str, Any]) -> None:
    known |= {letter: run(letter, kind) for letter, kind in zip("abcde", ("two_tower", "two_tower", "ease", "dlrm", "deepfm"), strict=True)}
    costs = [("Training time", "s", 1.0, 2.0, 0.1, 9.0, 8.0), ("Latency p50", "ms", NO, 0.4, NO, NO, NO)]
    comparison = made(
        ("A", "two_tower", {"ndcg_at_10": 0.2, "auc": 0.9}),
        ("B", "two_tower", {"ndcg_at_10": 0.3, "auc": 0.6}),
        ("C", "ease", {"ndcg_at_10": 0.9}),
        ("D", "dlrm", {"ndcg_at_10": 0.5, "auc": 0.7}),
        ("E", "deepfm", {"ndcg_at_10": 0.1, "auc": 0.8, "mrr": 0.4}),
        costs=costs,
    )
    found = engine.compare.guide(comparison)
    two, rank = found["retrieval"], found["ranking"]
    assert two is not None and rank is not None
    assert (two.letter, rank.letter) == ("B", "E")
    assert (two.train_rows, two.liked_alone, rank.train_rows, rank.liked_alone) == (480, True, 800, False)
    assert rank.metrics == {"ndcg_at_10": 0.1, "auc": 0.8}
    assert two.costs == [("Training time", 2.0, "s"), ("Latency p50", 0.4, "ms")]
    assert rank.costs == [("Training time", 8.0, "s")]
    assert rank.outputs == "the probability of a like"
    assert two.outputs == "scores that order the catalogue, and embeddings for a vector index"


def test_where_less_is_better_the_least_is_best(known: dict[str, Any]) -> None:
    known |= {"a": run("a", "dlrm"), "b": run("b", "dlrm")}
    found = engine.compare.guide(made(("A", "dlrm", {"rmse": 0.9}), ("B", "dlrm", {"rmse": 0.8})))
    assert found["ranking"] is not None
    assert found["ranking"].letter == "B"
    assert found["retrieval"] is None


def test_what_is_not_known_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "get_run", lambda run_id: run(run_id, spec={"model": {"kind": "from the future"}}))
    found = engine.compare.guide(made(("A", "two_tower", {})))["retrieval"]
    assert found is not None
    assert (found.train_rows, found.reads, found.outputs, found.metrics, found.costs) == (None, None, None, {}, [])
    assert page._facts(found) == ["–"] * len(page.GENERAL)
    assert page._facts(None) == ["–"] * len(page.GENERAL)
    assert engine.compare.guide(made(("A", "ease", {"ndcg_at_10": 1.0}))) == {"retrieval": None, "ranking": None}


@pytest.mark.parametrize("kind", NETWORKS)
def test_features_read_are_those_that_the_network_looks_up(kind: str) -> None:
    rng = np.random.default_rng(1)
    names = ("user_id", "history", "user_features", "item_features")
    fields = [name for name in names if name in engine.specs.MODELS[kind].model_fields]
    for _ in range(8):
        asked = {name: bool(rng.integers(2)) for name in fields}
        if not any(asked.get(name, True) for name in ("user_id", "history", "user_features")):
            continue  # a tower must read something
        model: Any = engine.specs.MODELS[kind].model_validate(asked)
        network = {f.name for f in used(SCHEMA, **{name: asked.get(name, True) for name in names})}
        assert {f.name for f in SCHEMA.categorical if _is_read(model, f.name, f.side)} == network


def test_the_page_folds_the_guide_beside_the_verdict(trained: FakeEngine, visit: Visit, says: Says) -> None:
    assert "Two-tower or DLRM?" not in [box.label for box in visit("compare", runs="a,d").expander]
    trained.guided["ranking"] = StageFacts(
        letter="B",
        name=HOSTILE,
        train_rows=800,
        liked_alone=False,
        reads=(HOSTILE, "age"),
        features=5,
        outputs="the probability of a like",
        metrics={"auc": 0.788},
        costs=[("Training time", 12.5, "s"), ("Parameters", 98304.0, ""), ("Checkpoint", 0.331, "MB"), ("Latency p99", 3.5, "ms")],
    )
    at = visit("compare", runs="a,d")
    assert "Two-tower or DLRM?" in [box.label for box in at.expander]
    html = next(h.value for h in at.html if "in general" in h.value)
    for said in ("No two-tower here", "800 training rows", "parameters 98,304 · checkpoint 0.331 MB", "2 of 5 features", "AUC 0.788"):
        assert said in html
    assert "training time 12.5 s · latency p99 3.50 ms" in html
    assert "hundreds or thousands of good candidates" in html
    assert "<img" not in html
