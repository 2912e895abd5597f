"""Contenders over the windows of a backtest: who wins how often, and by how much on average.

Windows are few, and the models behind them share most of their training data, so that their differences are not independent: Student's t
over K windows with K - 1 degrees of freedom is wide, and still somewhat too sure (Nadeau and Bengio, "Inference for the generalization
error", Machine Learning 2003). Users of one window are not independent of each other as draws of a month, so that they are no more data.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from engine import datasets, runs
from engine.compare.backtest.plan import Backtest
from engine.compare.cells import results_of
from workers.artifacts import metric as metric_of
from workers.specs import Target


class Window(NamedTuple):
    """The test part of a cut: its begin and its end in time, and users ranked for."""

    start: datetime | None
    end: datetime | None
    users: int


class PairOverWindows(NamedTuple):
    """Two contenders over the windows that both were measured in; the difference is a - b, with its 95 % interval (nan of one window)."""

    a: str
    b: str
    wins_a: int
    wins_b: int
    windows: int
    difference: float
    low: float
    high: float


class Windows(NamedTuple):
    """A metric of C contenders in K windows, the newest first: values [K, C], nan where there is none."""

    metric: str
    letters: tuple[str, ...]
    windows: tuple[Window, ...]
    values: np.ndarray
    pairs: tuple[PairOverWindows, ...]


def windows_of(backtest: Backtest, metric: str, k: int, target: Target) -> Windows:
    """What the finished trainings of a backtest reached, each on its window. Pairs: best mean first."""
    letters = tuple(dict.fromkeys(one.letter for one in backtest.entries))
    values = np.full((len(backtest.plan.cuts), len(letters)), np.nan)
    users = [0] * len(values)
    for entry in backtest.entries:
        if entry.state == "finished" and entry.run_id is not None:
            run = runs.get_run(entry.run_id)
            values[entry.cut, letters.index(entry.letter)] = results_of(run, k, target)[0].get(metric, math.nan)
            users[entry.cut] = int(run.resources.get("users", 0)) or users[entry.cut]
    found = tuple(_window(cut.dataset, ranked) for cut, ranked in zip(backtest.plan.cuts, users, strict=True))
    return Windows(metric, letters, found, values, pairs_over(metric, letters, values))


def _window(dataset: str, users: int) -> Window:
    try:
        folder = datasets.get_dataset(dataset)
    except LookupError:
        return Window(None, None, users)
    start = folder.manifest["split"].get("test_from")
    return Window(None if start is None else datetime.fromtimestamp(start, UTC), None, users)


def pairs_over(metric: str, letters: Sequence[str], values: np.ndarray) -> tuple[PairOverWindows, ...]:
    """Every two contenders that share a window; the one that is better on average is a.

    Args:
        values: [K, C], nan where there is none.
    """
    sign = -1.0 if metric_of(metric).better == "lower" else 1.0
    found = []
    for one, other in combinations(range(len(letters)), 2):
        both = np.isfinite(values[:, one]) & np.isfinite(values[:, other])
        differences = values[both, one] - values[both, other]
        if not len(differences):
            continue
        a, b = (one, other) if sign * differences.mean() >= 0 else (other, one)
        differences = values[both, a] - values[both, b]
        wins = int((sign * differences > 0).sum()), int((sign * differences < 0).sum())
        found.append(
            PairOverWindows(letters[a], letters[b], *wins, len(differences), float(differences.mean()), *mean_interval(differences))
        )
    return tuple(sorted(found, key=lambda pair: -abs(pair.difference)))


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """Student's 95 % interval of the mean of K values; nan for a single one."""
    if len(values) < 2:
        return math.nan, math.nan
    half = float(stdtrit(len(values) - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half
