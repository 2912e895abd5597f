"""Settings and costs of contenders: a row per fact, a column per contender, named by its letter."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import runs
from engine.runs import Run
from workers import run as specs
from workers.models import FunnelSpec

if TYPE_CHECKING:
    import pandas as pd

BATCHES = (
    "rows_per_s",
    "epochs",
    "best_epoch",
)  # facts of models that learn from batches, not of fitted ones
TRAINING, FIT = "Training time", "Training, best settings alone"
COSTS = {
    "training_s": (TRAINING, "s"),
    "trials": ("Settings tried", ""),
    "search_s": ("Search", "s"),
    "fit_s": (FIT, "s"),
    "rows_per_s": ("Throughput", "rows/s"),
    "epochs": ("Epochs trained", ""),
    "best_epoch": ("Best epoch", ""),
    "wall_s": ("Run duration", "s"),
    "peak_memory_bytes": ("Peak memory of a process", "MB"),
    "parameters": ("Parameters", ""),
    "checkpoint_bytes": ("Checkpoint", "MB"),
    "processes": ("Processes", ""),
    "latency_p50_ms": ("Latency per list, median", "ms"),
    "latency_p99_ms": ("Latency per list, 99th percentile", "ms"),
}


def is_fitted(run: Run) -> bool:
    """Whether a run's model has no ranks, fitted at once or made of others: it has no batches, no epochs and no curves."""
    return run.training.model.module is not None


def settings(named: dict[str, list[Run]]) -> "pd.DataFrame":
    """Every setting of each contender, with those that were tuned: setting, and a column per letter.

    Values are text, — for one that is off; None where a contender has no such setting.
    """
    import pandas as pd

    leaves = {letter: _leaves(group) for letter, group in named.items()}
    names = [name for name in dict.fromkeys(name for own in leaves.values() for name in own) if name != "name"]
    columns = {letter: [_shown(own[name]) if name in own else None for name in names] for letter, own in leaves.items()}
    return pd.DataFrame({"setting": names} | columns)


def _leaves(group: list[Run]) -> dict[str, Any]:
    """The settings of a contender; a model that is fitted in one step has none about batches."""
    first = group[0]
    spec = first.training
    leaves = specs.settings_of(spec) | _chosen(first)
    if spec.search is None:
        leaves.pop("search")
    elif spec.search.space is not None:
        leaves["search.space"] = f"its own, of {len(spec.search.space)}"
    if isinstance(spec.model, FunnelSpec):  # its parts by name: nobody knows runs by their ids
        leaves |= dict(zip(("model.retriever", "model.ranker"), map(_part, spec.model.titles), strict=True))
        leaves = {name: value for name, value in leaves.items() if name not in ("model.titles", "train.seed")}
    if is_fitted(first):
        read = {"train.seed"} | ({"train.user_share"} if spec.train.user_share < 1 else set())
        leaves = {name: value for name, value in leaves.items() if not name.startswith("train.") or name in read}
    if len(group) > 1:
        leaves["train.seed"] = [run.training.train.seed for run in group]
    return leaves


def _part(title: str) -> str:
    """What a part of a funnel is called where there is little room: the first two parts of its title."""
    return " · ".join(title.split(" · ")[:2]) or "unnamed"


def differences(every: "pd.DataFrame") -> "pd.DataFrame":
    """The settings in which contenders that have them differ, and those that one contender alone has."""
    values = every.drop(columns="setting")
    alone = (values.notna().sum(axis=1) == 1) & (values.shape[1] > 1)
    return every[(values.nunique(axis=1) > 1) | alone].reset_index(drop=True)


def _chosen(run: Run) -> dict[str, str]:
    """The settings that a run tuned on validation."""
    chosen = runs.done(run.run_id).get("chosen", {})
    # runs of version 0.1 name settings of the model without its prefix
    return {name if "." in name else f"model.{name}": f"{_rounded(value)} (tuned)" for name, value in chosen.items()}


def _rounded(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return "—"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def costs(named: dict[str, list[Run]]) -> "pd.DataFrame":
    """fact, unit, and a column per letter: the mean over its runs, nan where there is no such fact. Facts that nobody has are left out."""
    import pandas as pd

    facts = {}
    for letter, group in named.items():
        of_runs = [_cost(run) for run in group]
        facts[letter] = {name: float(np.mean([one[name] for one in of_runs])) for name in COSTS if all(name in one for one in of_runs)}
    searched = any("search_s" in own for own in facts.values())  # else a training is the only one
    rows = [
        {"fact": label, "unit": unit} | {letter: _scaled(own.get(name), unit) for letter, own in facts.items()}
        for name, (label, unit) in COSTS.items()
        if any(name in own for own in facts.values()) and (searched or name != "fit_s")
    ]
    return pd.DataFrame(rows, columns=["fact", "unit", *facts])


def _cost(run: Run) -> dict[str, float]:
    waited = run.started_at and run.ended_at
    known = {name: value for name, value in run.resources.items() if not (is_fitted(run) and name in BATCHES)}
    known |= _of_search(run)
    return known | ({"wall_s": (run.ended_at - run.started_at).total_seconds()} if waited else {})  # type: ignore[operator]


def _of_search(run: Run) -> dict[str, float]:
    """How many settings were tried, the seconds of all, and those of one training; of a run without a search the last alone."""
    end = runs.done(run.run_id)
    found = {name: float(end[name]) for name in ("trials", "search_s", "fit_s") if isinstance(end.get(name), int | float)}
    if "search_s" not in found and run.training.budget is None and "training_s" in run.resources:
        found["fit_s"] = run.resources["training_s"]
    return found


def _scaled(value: float | None, unit: str) -> float:
    return math.nan if value is None else value / 1e6 if unit == "MB" else value
