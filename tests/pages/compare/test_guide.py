"""The guide's measured columns: the best of each kind, what it reads as the network itself has it, and dashes where nothing is known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import engine
from engine.compare import Comparison, Contender
from engine.compare.advice import _is_read
from engine.runs import store
from tests.pages.reading import Visit
from tests.records import HOSTILE, SCHEMA
from tests.workspace import Workspace
from ui.compare import guide as page
from ui.shared import words
from workers.models.base import NetworkSpec
from workers.networks.ranker import used

NO = float("nan")
NETWORKS = [kind for kind, spec in engine.specs.MODELS.items() if issubclass(spec, NetworkSpec) and not spec.reads_order]


def made(workspace: Workspace, *of: tuple[str, str, str, dict[str, float]], costs: Any = None) -> Comparison:
    """A comparison of real runs with metrics made by hand: letter, name of the run, model, metrics."""
    contenders = [
        Contender(letter=letter, run_id=workspace.runs[name], name=f"{model} {letter}", model=model, color_index=at)
        for at, (letter, name, model, _) in enumerate(of)
    ]
    rows = [(key, letter, value) for letter, *_, metrics in of for key, value in metrics.items()]
    frame = pd.DataFrame(costs or [], columns=["fact", "unit", *(letter for letter, *_ in of)])
    table = pd.DataFrame(rows, columns=["metric", "contender", "value"])
    nothing = pd.DataFrame()
    return Comparison(
        contenders=contenders, dataset=workspace.films, apart=[], table=table, curves=nothing, differences=nothing, costs=frame, users=1
    )


def test_the_best_of_each_kind_is_measured_and_fitted_models_are_neither(shared: Workspace) -> None:
    costs = [("Training time", "s", 1.0, 2.0, 0.1, 9.0, 8.0), ("Latency p50", "ms", NO, 0.4, NO, NO, NO)]
    comparison = made(
        shared,
        ("A", "two_tower", "two_tower", {"ndcg_at_10": 0.2, "auc": 0.9}),
        ("B", "seed2", "two_tower", {"ndcg_at_10": 0.3, "auc": 0.6}),
        ("C", "ease", "ease", {"ndcg_at_10": 0.9}),
        ("D", "dlrm", "dlrm", {"ndcg_at_10": 0.5, "auc": 0.7}),
        ("E", "deepfm", "deepfm", {"ndcg_at_10": 0.1, "auc": 0.8, "mrr": 0.4}),
        costs=costs,
    )
    found = engine.compare.guide(comparison)
    two, rank = found["retrieval"], found["ranking"]
    assert two is not None and rank is not None
    assert (two.letter, rank.letter) == ("B", "E")
    counts = engine.datasets.get_dataset(shared.films).counts
    assert (two.train_rows, two.liked_alone) == (counts["positives"]["train"], True)
    assert (rank.train_rows, rank.liked_alone) == (counts["interactions"]["train"], False)
    assert rank.metrics == {"ndcg_at_10": 0.1, "auc": 0.8}
    assert two.costs == [("Training time", 2.0, "s"), ("Latency p50", 0.4, "ms")]
    assert rank.costs == [("Training time", 8.0, "s")]
    assert rank.outputs == "the probability of a like"
    assert two.outputs == "scores that order the catalogue, and embeddings for a vector index"


def test_where_less_is_better_the_least_is_best(shared: Workspace) -> None:
    found = engine.compare.guide(made(shared, ("A", "dlrm", "dlrm", {"rmse": 0.9}), ("B", "blind", "dlrm", {"rmse": 0.8})))
    assert found["ranking"] is not None
    assert found["ranking"].letter == "B"
    assert found["retrieval"] is None


def test_what_is_not_known_is_none(own: Workspace) -> None:
    store.set_tag(own.runs["two_tower"], "spec", '{"model": {"kind": "from the future"}}')
    found = engine.compare.guide(made(own, ("A", "two_tower", "two_tower", {})))["retrieval"]
    assert found is not None
    assert (found.train_rows, found.reads, found.outputs, found.metrics, found.costs) == (None, None, None, {}, [])
    assert page._facts(found) == ["–"] * len(page.GENERAL)
    assert page._facts(None) == ["–"] * len(page.GENERAL)
    assert engine.compare.guide(made(own, ("A", "ease", "ease", {"ndcg_at_10": 1.0}))) == {"retrieval": None, "ranking": None}


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


def test_the_page_folds_the_guide_beside_the_verdict(own: Workspace, visit: Visit) -> None:
    title = "Two-tower or DLRM?"
    assert title not in [box.label for box in visit("compare", runs=own.ids("ease", "popularity")).expander]
    engine.runs.rename(own.runs["dlrm"], HOSTILE)
    rank = engine.compare.guide(engine.compare.compare([own.runs["ease"], own.runs["dlrm"]]))["ranking"]
    assert rank is not None and rank.reads is not None
    at = visit("compare", runs=own.ids("ease", "dlrm"))
    assert title in [box.label for box in at.expander]
    html = next(h.value for h in at.html if "in general" in h.value)
    timed = [fact for fact, _, _ in rank.costs if any(word in fact.lower() for word in page.TIME)]
    assert "Training time" in timed
    costs = {fact: (value, unit) for fact, value, unit in rank.costs}
    shown = [f"{fact.lower()} {page._quantity(*costs[fact])}" for fact in ("Parameters", *timed)]
    shown += [f"{words.count(rank.train_rows)} training rows", f"{len(rank.reads)} of {rank.features} features"]
    for said in (*shown, "No two-tower here", f"AUC {words.number(rank.metrics['auc'])}"):
        assert said in html, said
    assert "hundreds or thousands of good candidates" in html
    assert "<img" not in html


def test_costs_stand_in_their_units() -> None:
    assert page._quantity(12.5, "s") == "12.5 s"
    assert page._quantity(98304.0, "") == "98,304"
    assert page._quantity(0.331, "MB") == "0.331 MB"
    assert page._quantity(3.5, "ms") == "3.50 ms"
