"""Predictions of a finished run for a sample of test rows, in words, and the reason where there are none."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import datasets
from engine.runs import read
from engine.runs.read import Run
from engine.runs.results import predictions
from workers.models import MODELS, MatrixSpec
from workers.run import RunSpec
from workers.specs import Task

if TYPE_CHECKING:
    import pandas as pd

Numbers = Sequence[float]


def why_no_predictions(run: Run) -> str | None:
    """Why the scores of a finished run predict no labels; None where they do, or where its model is unknown here."""
    known = MODELS.get(run.model or "")
    if known is None:
        return None
    if issubclass(known, MatrixSpec):
        return f"{known.label} is fitted to rank: its scores order the catalogue and predict no labels."
    spec = run.spec
    if not isinstance(spec, RunSpec) or spec.model.predicts_label:
        return None
    return (
        "This model was trained to choose among items: its scores order the catalogue. They are not probabilities, "
        "so there is no prediction for a single row."
    )


def sample_predictions(run_id: str) -> "pd.DataFrame":
    """A sample of test rows with the prediction of a finished run for each, as columns of a table.

    Returns:
        user_id, item_id and title (where the dataset has them), truth, predicted, miss: the distance of the two, to sort by.
        Binary: truth is bool, predicted a probability. Regression: two numbers. Classes: two names, and the `probability` of the
        predicted one. Actions: truth names those that happened; a column `P(action)` for each in place of `predicted`.

    Raises:
        LookupError: the run or its dataset does not exist.
    """
    frame = predictions(run_id)
    if frame.empty:
        return frame
    run = read.get_run(run_id)
    return in_words(frame, Task.of(datasets.get_dataset(run.dataset or "").manifest["label"]))


def in_words(frame: "pd.DataFrame", task: Task) -> "pd.DataFrame":
    """`sample_predictions` from the rows of `results.predictions`."""
    known = frame[[name for name in ("user_id", "item_id", "title") if name in frame]]
    columns = {"binary": _binary, "regression": _value, "multi_class": _classes, "actions": _actions}[task.output]
    return known.assign(**columns(frame, task))


def _binary(frame: "pd.DataFrame", task: Task) -> dict[str, Any]:
    label, predicted = frame["label"].to_numpy(float), frame["predicted"].to_numpy(float)
    return {"truth": label > 0, "predicted": predicted, "miss": np.abs(predicted - label)}


def _value(frame: "pd.DataFrame", task: Task) -> dict[str, Any]:
    target, predicted = frame["target"].to_numpy(float), frame["predicted"].to_numpy(float)
    return {"truth": target, "predicted": predicted, "miss": np.abs(predicted - target)}


def _classes(frame: "pd.DataFrame", task: Task) -> dict[str, Any]:
    """miss: 1 minus the probability of the true class."""
    chances, truth = np.array(frame["predicted"].tolist(), float), frame["target"].to_numpy(int)
    likeliest, row = chances.argmax(1), np.arange(len(frame))
    names = np.array(task.classes, object)
    return {
        "truth": names[truth],
        "predicted": names[likeliest],
        "probability": chances[row, likeliest],
        "miss": 1 - chances[row, truth],
    }


def _actions(frame: "pd.DataFrame", task: Task) -> dict[str, Any]:
    """miss: the largest error among the actions."""
    chances = np.array([np.atleast_1d(row) for row in frame["predicted"]], float)
    happened = np.array([np.atleast_1d(row) for row in frame["target"]], float)
    named = [", ".join(name for name, did in zip(task.classes, row, strict=True) if did > 0) or "none" for row in happened]
    columns = {f"P({name})": chances[:, place] for place, name in enumerate(task.classes)}
    return {"truth": named, **columns, "miss": np.abs(chances - happened).max(1)}
