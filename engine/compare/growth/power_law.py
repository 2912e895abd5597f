"""How a metric grows with the rows that a model learns from: a power law, its extrapolation, and where two of them cross.

value(n) = c - a n^-b for a metric of which more is better (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017;
Viering and Loog, "The Shape of Learning Curves: a Review", 2021, who find it the best of parametric forms, and not always good).
Letters: K sizes of training data, R resamples, B exponents that are tried, X rows at which a law is read.
"""

from typing import NamedTuple

import numpy as np

EXPONENTS = np.geomspace(0.05, 2.0, 60)  # Hestness et al. met .07 to .35, noiseless data come to 1 and more
REACH = 100.0  # times the largest size, up to which a crossing is looked for
GRID = 400  # sizes at which two laws are compared, evenly spaced in their logarithm


class Laws(NamedTuple):
    """R laws, in terms of the rows as a multiple of `unit`: limit - gap (n / unit)^-exponent. All of shape [R]."""

    limit: np.ndarray  # reached with any number of rows
    gap: np.ndarray  # to the limit at `unit` rows, 0 or more
    exponent: np.ndarray
    unit: float

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Values at rows [X]: [R, X]."""
        return self.limit[:, None] - self.gap[:, None] * (rows[None] / self.unit) ** -self.exponent[:, None]


def fit(rows: np.ndarray, values: np.ndarray, most: float = np.inf) -> Laws:
    """The least-squares law of each row of values; one that falls with more rows is as flat as its mean.

    Exact in limit and gap for each of EXPONENTS, of which the best is kept: no start value and no local optimum.

    Args:
        rows: [K] of training data, different, 3 or more. values: [R, K], more being better. most: the greatest value there can be.
    """
    unit = float(rows.max())
    best, limit, gap, exponent = (np.full(len(values), start) for start in (np.inf, 0.0, 0.0, 0.0))
    for power in EXPONENTS:
        shape = (rows / unit) ** -power
        own_limit, own_gap = _linear(shape, values, most)
        errors = ((own_limit[:, None] - own_gap[:, None] * shape - values) ** 2).sum(axis=1)
        better = errors < best
        best, limit = np.where(better, errors, best), np.where(better, own_limit, limit)
        gap, exponent = np.where(better, own_gap, gap), np.where(better, power, exponent)
    return Laws(limit, gap, exponent, unit)


def _linear(shape: np.ndarray, values: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Limit and gap [R] of least squares for one exponent, with gap at least 0 and limit at most `most`."""
    means, apart = values.mean(axis=1), shape - shape.mean()
    gap = np.maximum(0.0, -(values @ apart) / (apart @ apart))
    limit = means + gap * shape.mean()
    bounded = np.maximum(0.0, (most - values) @ shape / (shape @ shape)) if np.isfinite(most) else gap
    return np.minimum(limit, most), np.where(limit > most, bounded, gap)


def crossings(ahead: Laws, other: Laws, first: float) -> np.ndarray:
    """Where `other` passes `ahead` for good, in rows: [R]. inf: not within REACH times the largest size; `first`: it led from there on.

    Args:
        ahead, other: with as many laws each, and the same unit. first: the smallest size that is looked at.
    """
    sizes = np.geomspace(first, REACH * ahead.unit, GRID)
    lead = ahead.at(sizes) - other.at(sizes)
    leads = lead > 0
    last = GRID - 1 - np.argmax(leads[:, ::-1], axis=1)  # the last size at which `ahead` leads
    left = np.minimum(last, GRID - 2)
    at = np.arange(len(lead))
    before, after = lead[at, left], lead[at, left + 1]
    share = before / np.where(before != after, before - after, 1.0)  # of a step, over which the difference is straight enough
    place = np.log(sizes[left]) + share * np.log(sizes[1] / sizes[0])
    return np.where(leads[:, -1], np.inf, np.where(leads.any(axis=1), np.exp(place), first))


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The percentile interval of resamples [R], some of which may be inf."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)
