"""Metrics of the contenders of a comparison: a value, its 95 % interval and the deviation between seeds."""

import math
from typing import TYPE_CHECKING

import numpy as np

from engine import datasets, runs
from engine.compare import lists_at_k
from engine.compare.intervals import intervals
from engine.runs import Run
from workers.artifacts import cutoff, metric
from workers.run import RunSpec
from workers.specs import Protocol

if TYPE_CHECKING:
    import pandas as pd

Cell = tuple[str, str, float, float, float, float]
Results = tuple[dict[str, float], "pd.DataFrame | None"]  # by metric key; and per user, a column per metric


def protocol_of(run: Run) -> Protocol:
    """The protocol that a finished run was measured under; the default one for runs from before there was a choice."""
    measured, spec = runs.done(run.run_id).get("protocol"), run.spec
    return Protocol.model_validate(measured) if measured else spec.protocol if isinstance(spec, RunSpec) else Protocol()


def run_cells(group: list[Run], letter: str, k: int = lists_at_k.STORED_K) -> list[Cell]:
    """The metrics of a run, or the mean of several: per user first, so that the interval is that of the mean over seeds."""
    import pandas as pd

    keys, reached = lists_at_k.keys_at(k), [_of_run(run, k) for run in group]
    values = {key: float(np.mean([own.get(key, math.nan) for own, _ in reached])) for key in keys}
    frames = [frame for _, frame in reached if frame is not None]
    per_user = pd.concat(frames) if len(frames) == len(group) else None
    if per_user is not None and len(group) > 1:
        per_user = per_user.groupby("user_id", sort=False).mean(numeric_only=True)
    cells = _cells(letter, keys, values, per_user)
    if len(group) == 1:
        return cells
    spread = {key: float(np.std([own.get(key, math.nan) for own, _ in reached], ddof=1)) for key in keys}
    return [(*cell[:5], spread[cell[0]]) for cell in cells]


def baseline_cells(dataset: str, name: str, values: dict[str, float], letter: str, k: int = lists_at_k.STORED_K) -> list[Cell]:
    """The metrics of a baseline; `values`: those that were stored."""
    known = lists_at_k.list_facts(dataset) if _missing(values, k) else None
    at_k = lists_at_k.of_baseline(name, known, k) if known else None
    reached, per_user = _with(at_k, values, datasets.baseline_per_user(dataset, name))
    return _cells(letter, lists_at_k.keys_at(k), reached, per_user)


def _of_run(run: Run, k: int) -> Results:
    """The metrics that a run stored, and those computed from its lists: at another k, or new since it was trained."""
    try:
        per_user: pd.DataFrame | None = runs.per_user(run.run_id)
    except LookupError:
        per_user = None
    known = lists_at_k.list_facts(run.dataset or "") if _missing(run.metrics, k) else None
    found = lists_at_k.of_run(run.run_id, protocol_of(run), known, k) if known else None
    return _with(found, run.metrics, per_user)


def _missing(stored: dict[str, float], k: int) -> bool:
    """Whether a metric of lists at k was not stored."""
    return any((found := cutoff(key)) is not None and found[1] == k and key not in stored for key in lists_at_k.keys_at(k))


def _with(found: lists_at_k.ListMetrics | None, stored: dict[str, float], per_user: "pd.DataFrame | None") -> Results:
    """Stored metrics, and of those computed from lists the ones that were not stored."""
    if found is None:
        return stored, per_user
    if per_user is None:
        return found.values | stored, found.per_user
    new = ["user_id", *(name for name in found.per_user if name not in per_user)]
    return found.values | stored, per_user.merge(found.per_user[new], on="user_id", how="left")


def _cells(letter: str, keys: list[str], values: dict[str, float], per_user: "pd.DataFrame | None") -> list[Cell]:
    """With the intervals of means over users; those of metrics over rows come with the tests: see `significance.with_intervals`."""
    of_users = [key for key in keys if metric(key).per_user and per_user is not None and key in per_user]
    ends = dict(zip(of_users, intervals(per_user[of_users].to_numpy(float)), strict=True)) if per_user is not None and of_users else {}
    return [(key, letter, values.get(key, math.nan), *ends.get(key, (math.nan, math.nan)), math.nan) for key in keys]
