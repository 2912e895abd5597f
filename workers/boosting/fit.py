"""Boosting: one tree after another, until validation gets no better."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from workers.artifacts import METRICS
from workers.boosting.ground import Ground
from workers.models import LightGBMSpec
from workers.specs import Task

if TYPE_CHECKING:
    import lightgbm

OBJECTIVES = {"binary": "binary", "regression": "regression", "multi_class": "multiclass"}
VALIDATION = "validation"
ROWS_OF_THREAD = 100_000


class Grown(NamedTuple):
    """What came of a tree."""

    trees: int
    of: int
    value: float | None  # of the metric on validation
    seconds: float


class Fitted(NamedTuple):
    """A booster, and how it came to be."""

    booster: "lightgbm.Booster"
    trees: int  # the number that validation chose
    grown: int  # and how many there are
    metric: str
    values: tuple[float, ...]  # on validation, of each tree
    stopped_early: bool
    stopped: bool  # whether it was asked to stop


def fit(spec: LightGBMSpec, ground: Ground, seed: int, report: Callable[[Grown], bool]) -> Fitted:
    """Grow trees. report: takes what came of each tree; returns whether to stop."""
    import lightgbm

    metric, judge = spec.selection_metric(ground.task), ground.judge
    watch = _Watch(METRICS[metric].better == "higher", spec, report)
    booster = lightgbm.train(
        parameters_of(spec, ground.task, seed, ground.rows), ground.train, spec.trees, callbacks=[watch],
        valid_sets=[ground.valid] if ground.valid else [], valid_names=[VALIDATION] if ground.valid else [],
        feval=None if judge is None else lambda predictions, _: (metric, judge(predictions), watch.higher),
    )  # fmt: skip
    return Fitted(booster, watch.best_at or watch.trees, watch.trees, metric, tuple(watch.values), watch.stopped_early, watch.stopped)


def parameters_of(spec: LightGBMSpec, task: Task, seed: int, rows: int) -> dict[str, Any]:
    """Settings as LightGBM names them."""
    ranks = spec.chosen_objective == "lambdamart"
    classes = task.outputs if task.output == "multi_class" and spec.predicts_label else 1
    return {
        "objective": "lambdarank" if ranks else OBJECTIVES[task.output] if spec.predicts_label else "binary",
        "num_class": classes,
        "label_gain": [0, 1],
        "metric": "None",
        "learning_rate": spec.learning_rate,
        "num_leaves": spec.leaves,
        "min_data_in_leaf": spec.leaf_rows,
        "feature_fraction": spec.feature_share,
        "bagging_fraction": spec.row_share,
        "bagging_freq": 1 if spec.row_share < 1 else 0,
        "lambda_l2": spec.l2,
        "feature_pre_filter": False,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads_for(rows),
        "verbosity": -1,
    }


def threads_for(rows: int) -> int:
    """As many as PyTorch has, on few rows fewer: threads wait for each other at each split, which takes longer than their work."""
    return max(1, min(torch.get_num_threads(), rows // ROWS_OF_THREAD))


class _Watch:
    """A callback of LightGBM: reports each tree, and ends the training where validation is through with it, or somebody asks for that."""

    order, before_iteration = 50, False  # as LightGBM asks of callbacks

    def __init__(self, higher: bool, spec: LightGBMSpec, report: Callable[[Grown], bool]) -> None:
        self.higher, self.spec, self.report = higher, spec, report
        self.trees, self.best_at, self.best = 0, 0, -np.inf
        self.stopped_early, self.stopped = False, False
        self.values = list[float]()
        self.since = time.monotonic()

    def __call__(self, env: Any) -> None:  # noqa: ANN401 - LightGBM's own record
        from lightgbm.callback import EarlyStopException

        trees, results = env.iteration + 1, env.evaluation_result_list or []
        self.trees = trees
        value = next((float(one[2]) for one in results if one[0] == VALIDATION), None)
        if value is not None:
            self.values.append(value)
            if np.isfinite(value) and (signed := value if self.higher else -value) > self.best:
                self.best, self.best_at = signed, trees
        self.stopped = self.report(Grown(trees, self.spec.trees, value, time.monotonic() - self.since))
        patience = self.spec.patience
        self.stopped_early = patience is not None and self.best_at > 0 and trees - self.best_at >= patience
        if self.stopped or self.stopped_early:
            raise EarlyStopException(max(self.best_at, 1) - 1, results)
