"""What contenders of a comparison reached: a value, its 95 % interval and the deviation between seeds, a row a metric."""

import math
from typing import TYPE_CHECKING

import numpy as np

from engine import runs
from engine.runs import Run
from workers.results import METRICS

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES, SEED, LEVEL = 2000, 7, 0.95
Cell = tuple[str, str, float, float, float, float]


def run_cells(group: list[Run], letter: str) -> list[Cell]:
    """The metrics of a run, or the mean of several: per user first, so that the interval is that of the mean over seeds."""
    import pandas as pd

    values = {key: float(np.mean([run.metrics.get(key, math.nan) for run in group])) for key in METRICS}
    ends = [runs.done(run.run_id).get("metrics", {}) for run in group]
    errors = {key: float(np.mean([end.get(key, math.nan) for end in ends])) for end in ends for key in end if key.endswith("_se")}
    try:
        users = pd.concat([runs.per_user(run.run_id) for run in group])
        per_user: pd.DataFrame | None = users.groupby("user_id", sort=False).mean(numeric_only=True) if len(group) > 1 else users
    except LookupError:
        per_user = None
    cells = cells_of(letter, values, per_user, errors)
    if len(group) == 1:
        return cells
    spread = {key: float(np.std([run.metrics.get(key, math.nan) for run in group], ddof=1)) for key in METRICS}
    return [(*cell[:5], spread[cell[0]]) for cell in cells]


def cells_of(letter: str, values: dict[str, float], per_user: "pd.DataFrame | None", errors: dict[str, float]) -> list[Cell]:
    cells = []
    for key, metric in METRICS.items():
        value, low, high = values.get(key, math.nan), math.nan, math.nan
        if metric.per_user and per_user is not None and key in per_user:
            low, high = interval(per_user[key].to_numpy(float))
        elif f"{key}_se" in errors:
            low, high = value - 1.96 * errors[f"{key}_se"], value + 1.96 * errors[f"{key}_se"]
        cells.append((key, letter, value, low, high, math.nan))
    return cells


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap interval of a mean over users [U] (Efron and Tibshirani 1993, ch. 13); nan below two users."""
    from scipy.stats import bootstrap

    values = values[np.isfinite(values)]
    if len(values) < 2 or np.ptp(values) == 0:
        return (math.nan, math.nan)
    batch = max(1, 4_000_000 // len(values))  # bounds memory at 32 MB
    found = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile", rng=SEED, batch=batch
    ).confidence_interval
    return float(found.low), float(found.high)
