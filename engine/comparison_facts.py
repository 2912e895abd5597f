"""What runs were told and what they cost: settings and costs of contenders, a row a fact, a column a letter."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine import runs
from engine.runs import Run
from workers import specs

if TYPE_CHECKING:
    import pandas as pd

COSTS = {
    "training_s": ("Training time", "s"),
    "rows_per_s": ("Throughput", "rows/s"),
    "epochs": ("Epochs trained", ""),
    "best_epoch": ("Best epoch", ""),
    "wall_s": ("From turn to verdict", "s"),
    "peak_memory_bytes": ("Peak memory of a process", "MB"),
    "parameters": ("Parameters", ""),
    "checkpoint_bytes": ("Checkpoint", "MB"),
    "processes": ("Processes", ""),
}


def settings(named: dict[str, list[Run]]) -> "pd.DataFrame":
    """Every setting of each contender, those that it chose by itself included: setting, and a column a letter, all text."""
    import pandas as pd

    found = {letter: specs.settings(specs.RunSpec.model_validate(group[0].spec)) | _chosen(group[0]) for letter, group in named.items()}
    for letter, group in named.items():
        if len(group) > 1:
            found[letter]["train.seed"] = [run.spec["train"]["seed"] for run in group]
    names = [name for name in dict.fromkeys(name for leaves in found.values() for name in leaves) if name != "name"]
    rows = [{"setting": name} | {letter: _shown(leaves.get(name)) for letter, leaves in found.items()} for name in names]
    return pd.DataFrame(rows, columns=["setting", *found])


def differences(every: "pd.DataFrame") -> "pd.DataFrame":
    """Of all settings, those in which contenders differ."""
    letters = [name for name in every.columns if name != "setting"]
    return every[every[letters].nunique(axis=1) > 1].reset_index(drop=True) if letters else every


def _chosen(run: Run) -> dict[str, str]:
    """The settings that a run chose by itself, on validation."""
    return {f"model.{name}": f"{value} (tuned)" for name, value in runs.done(run.run_id).get("chosen", {}).items()}


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def costs(named: dict[str, list[Run]]) -> "pd.DataFrame":
    """fact, unit, and a column a letter: the mean over its runs, nan where there is no such fact. Facts that nobody has are left out."""
    import pandas as pd

    facts = {}
    for letter, group in named.items():
        told = [_cost(run) for run in group]
        facts[letter] = {name: float(np.mean([one[name] for one in told])) for name in COSTS if all(name in one for one in told)}
    rows = [
        {"fact": label, "unit": unit} | {letter: _scaled(found.get(name), unit) for letter, found in facts.items()}
        for name, (label, unit) in COSTS.items()
        if any(name in found for found in facts.values())
    ]
    return pd.DataFrame(rows, columns=["fact", "unit", *facts])


def _cost(run: Run) -> dict[str, float]:
    waited = run.started_at and run.ended_at
    return run.resources | ({"wall_s": (run.ended_at - run.started_at).total_seconds()} if waited else {})  # type: ignore[operator]


def _scaled(value: float | None, unit: str) -> float:
    return math.nan if value is None else value / 1e6 if unit == "MB" else value
