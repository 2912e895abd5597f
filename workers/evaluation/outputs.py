"""How well logits predict the labels of rows, for each kind of output: metrics, and the tables behind the figures.

Pure functions in numpy. Letters: B rows, O outputs, C classes, A actions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, log_softmax

from workers.evaluation import metrics
from workers.specs import Task

Floats = NDArray[np.float64]
BINS = 15  # of the reliability curve, as in Guo et al. 2017

Measured = tuple[dict[str, float], dict[str, Any]]


def evaluate_outputs(task: Task, logits: Floats, labels: Floats, targets: Floats, known: NDArray[np.bool_]) -> Measured:
    """Metrics over the rows whose user and item are in train, and tables for figures; what is undefined is absent.

    Args:
        logits: [B, O]. labels: [B], 0 or 1. known: [B].
        targets: [B] the value, or the place of the class; [B, A] 0 or 1 of each action. Not read where the output is binary.
    """
    logits, labels, targets = (part[known].astype(np.float64) for part in (logits, labels, targets))
    if len(logits) == 0:
        return {}, {"output": task.output}
    measure = {"binary": _binary, "regression": _regression, "multi_class": _classes, "actions": _actions}[task.output]
    values, tables = measure(task, logits, labels if task.output == "binary" else targets)
    return {name: value for name, value in values.items() if np.isfinite(value)}, {"output": task.output, **tables}


def predictions(task: Task, logits: Floats) -> Floats:
    """What logits [B, O] predict: a probability, a value, the probability of each class, or of each action: [B, O]."""
    if task.output == "regression":
        return logits
    return np.exp(log_softmax(logits, axis=1)) if task.output == "multi_class" else expit(logits)


def _binary(task: Task, logits: Floats, labels: Floats) -> Measured:
    loss, error = metrics.log_loss(logits[:, 0], labels)
    predicted, rate = expit(logits[:, 0]), labels.mean()
    curve = reliability(predicted, labels)
    values = {
        "log_loss": loss,
        "log_loss_se": error,
        "ne": loss / (entr(rate) + entr(1 - rate)) if 0 < rate < 1 else float("nan"),
        "calibration": predicted.mean() / rate if rate > 0 else float("nan"),
        "ece": sum(bin["rows"] * abs(bin["predicted"] - bin["observed"]) for bin in curve) / len(labels),
    }
    return values, {"reliability": curve}


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


def _regression(task: Task, logits: Floats, targets: Floats) -> Measured:
    errors = logits[:, 0] - targets
    rmse, squares = float(np.sqrt((errors**2).mean())), errors**2
    values = {
        "rmse": rmse,
        # the deviation of a root is that of its square over twice the root
        "rmse_se": float(squares.std() / np.sqrt(len(errors)) / (2 * rmse)) if rmse > 0 else float("nan"),
        "mae": float(np.abs(errors).mean()),
        "mae_se": float(np.abs(errors).std() / np.sqrt(len(errors))),
    }
    return values, {"residuals": _by_target(logits[:, 0], targets)}


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


def _classes(task: Task, logits: Floats, targets: Floats) -> Measured:
    truth, predicted = targets.astype(int), logits.argmax(1)
    losses = -np.take_along_axis(log_softmax(logits, axis=1), truth[:, None], axis=1)[:, 0]
    right = truth == predicted
    confusion = np.zeros((logits.shape[1],) * 2, int)
    np.add.at(confusion, (truth, predicted), 1)
    values = {
        "accuracy": float(right.mean()),
        "accuracy_se": float(right.std() / np.sqrt(len(right))),
        "macro_f1": macro_f1(confusion),
        "class_log_loss": float(losses.mean()),
        "class_log_loss_se": float(losses.std() / np.sqrt(len(losses))),
    }
    return values, {"classes": list(task.classes), "confusion": confusion.tolist()}


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """2 TP / (2 TP + FP + FN), averaged over the classes that occur in truth or prediction; of a confusion matrix [truth, predicted]."""
    hits = np.diag(confusion).astype(float)
    both = confusion.sum(0) + confusion.sum(1)
    there = both > 0
    return float((2 * hits[there] / both[there]).mean())


def _actions(task: Task, logits: Floats, targets: Floats) -> Measured:
    rows, areas, losses = [], [], []
    for place, name in enumerate(task.classes):
        area, error = metrics.auc(logits[:, place], targets[:, place])
        loss, _ = metrics.log_loss(logits[:, place], targets[:, place])
        rate = float(targets[:, place].mean())
        entropy = float(entr(rate) + entr(1 - rate))
        own = {"auc": area, "auc_se": error, "log_loss": loss, "ne": loss / entropy if entropy > 0 else float("nan"), "rate": rate}
        rows.append({"action": name, **{key: value if np.isfinite(value) else None for key, value in own.items()}})
        areas.append(area)
        losses.append(loss)
    defined = [area for area in areas if np.isfinite(area)]
    values = {"action_auc": float(np.mean(defined)) if defined else float("nan"), "action_log_loss": float(np.mean(losses))}
    return values, {"actions": rows}
