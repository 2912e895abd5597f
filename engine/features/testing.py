"""Tests of features: each is a run of a kind of its own, which reads a finished run and changes nothing of it.

A test trains nothing, so comparisons leave it out.
"""

import json
from typing import NamedTuple

from pydantic import ValidationError

from engine import datasets, runs
from engine.runs import Run, RunState
from engine.settings import settings
from workers.importance import FEATURES, FeatureLoss, FeatureTest, FeatureTestSpec
from workers.models import FeatureModelSpec, FunnelSpec, MatrixSpec
from workers.run import RunSpec
from workers.specs import Task, explain


class RunOfTest(NamedTuple):
    """The run of a test, and what it says once it has finished."""

    run: Run
    spec: FeatureTestSpec
    result: FeatureTest | None


def why_no_test(run: Run) -> str | None:
    """Why a run's features cannot be tested, in a sentence; None where they can."""
    if run.kind != "train" or run.state != RunState.FINISHED or run.unreadable:
        return f"{run.title} is {run.state.value}; only features of finished training runs can be tested."
    model = run.training.model
    if isinstance(model, MatrixSpec | FunnelSpec) or model.reads_order:
        return f"{model.label} reads who liked what and no features of rows, so there is nothing to leave out."
    return None


def test_features(run_id: str, rows: int = 200_000, tolerance: float = 0.001, key: str | None = None) -> str:
    """Start a test of a finished run's features; returns the test's run id at once.

    Args:
        rows: test rows that are read at most. tolerance: see `FeatureTestSpec`. key: idempotency key, as in `runs.submit`.

    Raises:
        LookupError: no such run, or its dataset is gone. ValueError: it has no features to test, or a number is out of bounds.
    """
    run = runs.get_run(run_id)
    if why := why_no_test(run):
        raise ValueError(why)
    dataset = datasets.get_dataset(run.dataset or "").id
    given = {"features_of": run_id, "title": run.title[:120], "dataset": dataset, "rows": rows, "tolerance": tolerance}
    try:
        spec = FeatureTestSpec.model_validate(given)
    except ValidationError as error:
        raise ValueError(explain(error)) from error
    return runs.submit(spec, key=key)


def tests_of(run_id: str, limit: int = 200) -> list[RunOfTest]:
    """The tests of a run's features, newest first, with live and failed ones."""
    every = ((run, run.spec) for run in runs.list_runs("features", limit=limit))
    return [RunOfTest(run, spec, _result(run)) for run, spec in every if isinstance(spec, FeatureTestSpec) and spec.features_of == run_id]


def _result(run: Run) -> FeatureTest | None:
    if run.state != RunState.FINISHED:
        return None
    try:
        return FeatureTest.model_validate(json.loads((settings().runs / run.run_id / FEATURES).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None  # the files were moved since


def run_without(run: Run, loss: FeatureLoss) -> RunSpec | None:
    """The run with the same settings that does without some features; None where its model has no such setting."""
    if not isinstance(run.training.model, FeatureModelSpec):
        return None
    spec = runs.as_chosen(run.run_id, run.training)
    assert isinstance(spec.model, FeatureModelSpec)
    without = (*spec.model.without, *(name for name in loss.features if name not in spec.model.without))
    return spec.model_copy(update={"name": None, "continues": None, "model": spec.model.model_copy(update={"without": without})})


def conclusion(run: Run, test: FeatureTest) -> str:
    """What the test says, in a sentence or two: how many features can go, what that costs, and what it saves."""
    name = {"auc": "AUC", "action_auc": "mean AUC", "rmse": "RMSE", "class_log_loss": "log loss"}[test.metric]
    spare, every = test.spare, len(test.each)
    if spare is None:
        few = any(one.high is None for one in test.each)
        why = "the test has too few users to say" if few else f"each costs more than {test.tolerance:.2g} of {name}, or may"
        return f"None of the {every} features can be left out safely: {why}."
    groups = test.together.index(spare) + 1
    which = "One of the" if groups == 1 else f"{groups} of the"
    cost = f"permuted{' it costs' if groups == 1 else ' together they cost'} {spare.loss:.4f} of {name} [{spare.low:.4f}, {spare.high:.4f}]"
    return f"{which} {every} features can go: {cost}{_saved(run, spare)}. Train without them to be sure."


def _saved(run: Run, spare: FeatureLoss) -> str:
    """, with 31 % fewer parameters; empty where that is not known."""
    without = run_without(run, spare)
    if without is None:
        return ""
    dataset = datasets.get_dataset(run.dataset or "")
    task = Task.of(dataset.manifest["label"])
    sizes = [spec.model.footprint(dataset.schema, task) for spec in (runs.as_chosen(run.run_id, run.training), without)]
    if sizes[0] is None or sizes[1] is None or not sizes[0].parameters:
        return ""
    share, looked = 1 - sizes[1].parameters / sizes[0].parameters, [len(size.tables) for size in sizes if size]
    return f", and saves {share:.0%} of the parameters and {looked[0] - looked[1]} of {looked[0]} lookups a row"
