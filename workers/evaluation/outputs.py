"""How well logits predict the labels of rows, for each kind of output: metrics, and the tables behind the figures.

Pure functions in numpy. Letters: B rows, O outputs, C classes, A actions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

from workers.evaluation.clustered import BINS, MEASURED, RANKED, Rows, estimates, owners, with_errors
from workers.evaluation.over import HERE, Over
from workers.specs import Task

Floats = NDArray[np.float64]
Measured = tuple[dict[str, float], dict[str, Any]]


def evaluate_outputs(
    task: Task, logits: Floats, labels: Floats, targets: Floats, known: NDArray[np.bool_], users: NDArray[Any] | None = None
) -> Measured:
    """Metrics over the rows whose user and item are in train, and tables for figures; what is undefined is absent.

    Args:
        logits: [B, O]. labels: [B], 0 or 1. known: [B].
        targets: [B] the value, or the place of the class; [B, A] 0 or 1 of each action. Not read where the output is binary.
        users: [B] rows of the vocabulary, whose draw makes the standard errors `<key>_se`; None or all 0: rows are drawn.
    """
    who = np.zeros(len(labels), np.int64) if users is None else users
    rows = known_rows(task, logits, labels, targets, known, who)
    return output_metrics(rows), output_tables(rows)


def known_rows(
    task: Task, logits: Floats, labels: Floats, targets: Floats, known: NDArray[np.bool_], users: NDArray[Any], over: Over = HERE
) -> Rows:
    """The rows whose user and item are in train, to be measured; arguments as of `evaluate_outputs`."""
    logits, labels, targets = (part[known].astype(np.float64) for part in (logits, labels, targets))
    own = owners(users[known], over)
    return Rows(logits[:, 0], labels, own, logits, labels if task.output == "binary" else targets, task, over)


def output_metrics(rows: Rows) -> dict[str, float]:
    """Metrics of what the logits predict, and as `<key>_se` their standard errors; what is undefined is absent."""
    keys = [key for key in MEASURED[rows.task.output] if key not in RANKED]
    return with_errors(estimates(rows, keys), rows.over)


def output_tables(rows: Rows) -> dict[str, Any]:
    """The tables of the figures, of rows of this process."""
    output = rows.task.output
    tables = {"binary": _binary, "regression": _regression, "multi_class": _classes, "actions": _actions}[output]
    return {"output": output, **(tables(rows) if len(rows.labels) else {})}


def predictions(task: Task, logits: Floats) -> Floats:
    """What logits [B, O] predict: a probability, a value, the probability of each class, or of each action: [B, O]."""
    if task.output == "regression":
        return logits
    return np.exp(log_softmax(logits, axis=1)) if task.output == "multi_class" else expit(logits)


def _binary(rows: Rows) -> dict[str, Any]:
    return {"reliability": reliability(expit(rows.scores), rows.labels)}


def reliability(predicted: Floats, labels: Floats) -> list[dict[str, float]]:
    """Mean prediction and share of positives in bins of equal width, those with rows: predicted, observed, rows.

    Guo et al., "On calibration of modern neural networks", ICML 2017, section 2.
    """
    place = np.minimum((predicted * BINS).astype(int), BINS - 1)
    rows, predictions_in, positives_in = (np.bincount(place, weights, BINS) for weights in (None, predicted, labels))
    there = np.flatnonzero(rows)
    return [
        {"predicted": float(predictions_in[k] / rows[k]), "observed": float(positives_in[k] / rows[k]), "rows": int(rows[k])} for k in there
    ]


def _regression(rows: Rows) -> dict[str, Any]:
    assert rows.targets is not None
    return {"residuals": _by_target(rows.scores, rows.targets)}


def _by_target(predicted: Floats, targets: Floats) -> list[dict[str, float]]:
    """Mean and deviation of the predictions for each value, or for each of ten bins of many values: target, predicted, deviation, rows."""
    values = np.unique(targets)
    edges = np.quantile(targets, np.linspace(0, 1, 11)) if len(values) > 20 else None
    group = np.searchsorted(values, targets) if edges is None else np.clip(np.searchsorted(edges, targets, side="right") - 1, 0, 9)
    return [
        {
            "target": float(targets[own].mean()),
            "predicted": float(predicted[own].mean()),
            "deviation": float(predicted[own].std()),
            "rows": int(own.sum()),
        }
        for own in (group == k for k in np.unique(group))
    ]


def _classes(rows: Rows) -> dict[str, Any]:
    assert rows.logits is not None and rows.targets is not None
    confusion = np.zeros((rows.logits.shape[1],) * 2, int)
    np.add.at(confusion, (rows.targets.astype(int), rows.logits.argmax(1)), 1)
    return {"classes": list(rows.task.classes), "confusion": confusion.tolist()}


def _actions(rows: Rows) -> dict[str, Any]:
    """Each action by itself; None is undefined: it always or never happens."""
    assert rows.logits is not None and rows.targets is not None
    table = []
    for place, name in enumerate(rows.task.classes):
        one = Rows(rows.logits[:, place], rows.targets[:, place], rows.users)
        values = with_errors(estimates(one, ("auc", "log_loss", "ne")))
        shown = {key: values.get(key) for key in ("auc", "auc_se", "log_loss", "ne")}
        table.append({"action": name, **shown, "rate": float(one.labels.mean())})
    return {"actions": table}
