"""The label rule of a preview, with pandas. `engine.prepare.rows` does the same with Spark."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from engine.datasets import ActionsLabel, DatasetSpec, MultiClassLabel, RegressionLabel
from engine.preview.actions import usual_likes
from workers.artifacts import TRAIN
from workers.specs import Output

MOST_CLASSES = 100


class Rule(NamedTuple):
    """A label rule with its statistics: what models predict, the threshold from which a rating is liked, the classes, the liked classes."""

    output: Output
    threshold: float | None
    mean: float | None
    classes: list[str]
    liked: list[str]


def label_rows(rows: pd.DataFrame, spec: DatasetSpec) -> tuple[pd.Series, Rule]:
    """Whether each row is liked (0 or 1, float), and the rule with its statistics. `rows` have `split`."""
    label, train = spec.label, rows[rows["split"] == TRAIN]
    if label.kind == "implicit":
        return pd.Series(1.0, index=rows.index), Rule("binary", None, None, [], [])
    if label.kind in ("multi_class", "actions"):
        return _label_classes(rows, spec)
    mean = float(train["rating"].mean())
    threshold: float | None = {"threshold": getattr(label, "threshold", None), "given": 1.0}.get(label.kind, mean)
    if isinstance(label, RegressionLabel) and label.liked_from is not None:
        threshold = label.liked_from
    output: Output = "regression" if label.kind == "regression" else "binary"
    if label.kind == "given":
        check_given(set(rows["rating"].unique()))
    if label.kind == "user_mean":
        own = rows["user_id"].map(train.groupby("user_id")["rating"].mean()).fillna(mean)
        return (rows["rating"] >= own).astype(float), Rule(output, None, mean, [], [])
    return (rows["rating"] >= threshold).astype(float), Rule(output, threshold, mean, [], [])


def check_given(values: set[float]) -> None:
    """ValueError when given labels are not two values: 0 or −1, and 1."""
    if values - {-1.0, 0.0, 1.0}:
        shown = ", ".join(f"{value:g}" for value in sorted(values)[:6])
        raise ValueError(f"label.kind is given, but the labels are {shown} …; choose a threshold, the mean or regression.")


def _label_classes(rows: pd.DataFrame, spec: DatasetSpec) -> tuple[pd.Series, Rule]:
    actions = spec.source.reading().actions
    if actions:
        classes = list(actions)
    elif isinstance(spec.label, ActionsLabel):
        counts = rows["category"].str.split("|").explode().value_counts()
        classes = sorted(counts.index, key=lambda name: (-counts[name], name))
    elif "rating" in rows:
        classes = [f"{value:g}" for value in sorted(rows["rating"].unique())]
    else:
        classes = sorted(rows["category"].unique())
    liked = liked_classes(classes, spec)
    if actions:
        positive = rows[[f"action.{name}" for name in liked]].max(axis=1) > 0
    elif isinstance(spec.label, ActionsLabel):
        positive = rows["category"].map(lambda kinds: not set(kinds.split("|")).isdisjoint(liked))
    else:
        positive = (rows["rating"].map("{:g}".format) if "rating" in rows else rows["category"]).isin(liked)
    return positive.astype(float), Rule(spec.label.kind, None, None, classes, liked)  # type: ignore[arg-type]


def usual_threshold(steps: Sequence[float], low: float, high: float, middle: float, wanted: float = 4.0) -> float:
    """The rating from which rows are liked unless somebody chooses: the wanted one, or the median where no rating reaches it.

    Args:
        steps: the distinct ratings in order, where they are few: the nearest is taken; else empty.
    """
    start = wanted if low <= wanted <= high else middle
    return min(steps[1:], key=lambda step: (abs(step - start), -step)) if len(steps) > 1 else start  # from the lowest, all would be liked


def is_given(steps: Sequence[float]) -> bool:
    """Whether labels, by their distinct values, are the answer themselves: 0 or 1, or -1 or 1."""
    return set(steps) in ({0.0, 1.0}, {-1.0, 1.0})


def liked_classes(classes: list[str], spec: DatasetSpec) -> list[str]:
    """The classes or actions that count as liked; ValueError when there are too many or a name is not among them."""
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"The label has {len(classes):,} different values, at most {MOST_CLASSES} can be classes; choose regression.")
    wanted = list(getattr(spec.label, "liked", ()))
    if foreign := set(wanted) - set(classes):
        raise ValueError(f"label.liked names {', '.join(sorted(foreign))}; the data have {', '.join(classes[:20])}.")
    if isinstance(spec.label, ActionsLabel):
        return wanted or usual_likes(classes)
    return wanted or (classes[-1:] if isinstance(spec.label, MultiClassLabel) else [])
