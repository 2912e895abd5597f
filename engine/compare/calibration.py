"""Predicted probabilities against what was observed, over several runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from engine import runs
from engine.compare.contenders import Contender

Bins = Sequence[Mapping[str, float]]


def pooled_reliability(every: Sequence[Bins]) -> list[dict[str, float]]:
    """The reliability curves of several runs, such as seeds, as one: bins of one place are put together, each weighed by its rows.

    Args:
        every: of each run predicted, observed (both shares) and rows of each bin, as `engine.runs.outputs` gives them.

    Returns:
        The same of each bin that has rows, by rising prediction; empty where there is none.
    """
    from workers.evaluation import BINS

    bins = [bin for one in every for bin in one if bin["rows"] > 0]
    predicted, observed, rows = (np.array([bin[name] for bin in bins], float) for name in ("predicted", "observed", "rows"))
    place = np.minimum((predicted * BINS).astype(int), BINS - 1)
    total, sum_predicted, sum_observed = (np.bincount(place, weights, BINS) for weights in (rows, rows * predicted, rows * observed))
    there = np.flatnonzero(total)
    return [
        {"predicted": float(sum_predicted[k] / total[k]), "observed": float(sum_observed[k] / total[k]), "rows": int(total[k])}
        for k in there
    ]


def reliability_of(contender: Contender) -> list[dict[str, float]]:
    """The reliability curve of a contender, over all of its seeds; empty where it predicts no probability, or its results are not here."""
    return pooled_reliability([_bins(run_id) for run_id in contender.runs])


def _bins(run_id: str) -> Bins:
    """The reliability table of a finished run; empty where it predicts something else, or nothing."""
    try:
        return list(runs.outputs(run_id).get("reliability") or [])
    except (LookupError, OSError, ValueError):
        return []
