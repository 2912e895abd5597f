"""Metrics of the contenders of a comparison: a value, its 95 % interval and the deviation between seeds."""

import math
from typing import TYPE_CHECKING

import numpy as np

from engine import datasets, runs
from engine.compare import lists_at_k
from engine.compare.intervals import intervals
from engine.runs import Run
from workers.artifacts import METRICS, cutoff, metric
from workers.run import RunSpec
from workers.specs import Protocol, Target

if TYPE_CHECKING:
    import pandas as pd

Cell = tuple[str, str, float, float, float, float]
Results = tuple[dict[str, float], "pd.DataFrame | None"]  # by metric key; and per user, a column per metric


def protocol_of(run: Run) -> Protocol:
    """The protocol that a finished run was measured under; the default one for runs from before there was a choice."""
    measured, spec = runs.done(run.run_id).get("protocol"), run.spec
    return Protocol.model_validate(measured) if measured else spec.protocol if isinstance(spec, RunSpec) else Protocol()


def run_cells(group: list[Run], letter: str, k: int = lists_at_k.STORED_K, target: Target = "later") -> list[Cell]:
    """The metrics of a run, or the mean of several: per user first, so that the interval is that of the mean over seeds."""
    import pandas as pd

    keys, reached = lists_at_k.keys_at(k), [results_of(run, k, target) for run in group]
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


def baseline_cells(
    dataset: str, name: str, values: dict[str, float], letter: str, k: int = lists_at_k.STORED_K, target: Target = "later"
) -> list[Cell]:
    """The metrics of a baseline; `values`: those that were stored."""
    reached, per_user = results_of_baseline(dataset, name, values, k, target)
    return _cells(letter, lists_at_k.keys_at(k), reached, per_user)


def results_of_baseline(dataset: str, name: str, values: dict[str, float], k: int, target: Target) -> Results:
    """The metrics of a baseline by a target; `values`: those that were stored, by all later likes."""
    per_user = datasets.baseline_per_user(dataset, name)
    if target != "later":
        values, per_user = _unranked(values, per_user)
    known = lists_at_k.list_facts(dataset, target) if (missing := _missing(values, k)) else None
    found = [at_k for cut in missing if known and (at_k := lists_at_k.of_baseline(name, known, cut))]
    return _with(found, values, per_user)


def results_of(run: Run, k: int, target: Target) -> Results:
    """The metrics that a run stored, and those computed from its lists: at another k, by another target, or new since it was trained."""
    try:
        per_user: pd.DataFrame | None = runs.per_user(run.run_id)
    except LookupError:
        per_user = None
    stored, protocol = run.metrics, protocol_of(run)
    if target != protocol.target:
        stored, per_user = _unranked(stored, per_user)
    known = lists_at_k.list_facts(run.dataset or "", target) if (missing := _missing(stored, k)) else None
    found = [at_k for cut in missing if known and (at_k := lists_at_k.of_run(run.run_id, protocol, known, cut))]
    return _with(found, stored, per_user)


def _unranked(stored: dict[str, float], per_user: "pd.DataFrame | None") -> Results:
    """What does not depend on which of the later likes count."""
    kept = {key: value for key, value in stored.items() if key not in METRICS or METRICS[key].family != "ranking"}
    if per_user is None:
        return kept, None
    ranking = [name for name in per_user if name in METRICS and METRICS[name].family == "ranking"]
    return kept, per_user.drop(columns=[*ranking, *(name for name in ("relevant",) if name in per_user)])


def _missing(stored: dict[str, float], k: int) -> list[int]:
    """The lengths of lists at which metrics of a comparison at k were not stored, k itself first."""
    cuts = {found[1] for key in lists_at_k.keys_at(k) if (found := cutoff(key)) is not None and key not in stored}
    return sorted(cuts, key=lambda cut: (cut != k, cut))


def _with(found: list[lists_at_k.ListMetrics], stored: dict[str, float], per_user: "pd.DataFrame | None") -> Results:
    """Stored metrics, and of those computed from lists the ones that were not stored."""
    values = stored
    for at_k in found:
        values = at_k.values | values
        if per_user is None:
            per_user = at_k.per_user
        elif new := [name for name in at_k.per_user if name not in per_user]:
            per_user = per_user.merge(at_k.per_user[["user_id", *new]], on="user_id", how="left")
    return values, per_user


def _cells(letter: str, keys: list[str], values: dict[str, float], per_user: "pd.DataFrame | None") -> list[Cell]:
    """With the intervals of means over users; those of metrics over rows come with the tests: see `significance.with_intervals`."""
    of_users = [key for key in keys if metric(key).per_user and per_user is not None and key in per_user]
    ends = dict(zip(of_users, intervals(per_user[of_users].to_numpy(float)), strict=True)) if per_user is not None and of_users else {}
    return [(key, letter, values.get(key, math.nan), *ends.get(key, (math.nan, math.nan)), math.nan) for key in keys]
