"""95 % intervals: of means over users by the bootstrap (of many by what it tends to, which is fast), of others by their error."""

import math
from functools import lru_cache

import numpy as np
from scipy.special import expit, logit, stdtrit

from workers.evaluation import FEW

RESAMPLES, SEED, LEVEL = 2000, 7, 0.95
Z = 1.959963984540054  # the 97.5 % point of the standard normal distribution, LEVEL of which lies within
LARGE = 20_000  # users from which on resampling gives what its limit gives, at a cost that pages cannot bear
MOST_EXPONENT = 700.0  # beyond which a number is greater than floats can be
BATCH = 4_000_000  # numbers that a batch of resamples may take: 32 MB


def intervals(values: np.ndarray) -> list[tuple[float, float]]:
    """95 % percentile bootstrap interval of the mean over users of each column (Efron and Tibshirani 1993, ch. 13).

    All columns, and all contenders with as many users, are resampled alike. A user without a value counts in none of a column's means.
    With more than LARGE users each column is resampled on its own: see `limit_of`.

    Args:
        values: [U, M], nan where a user has no value; nan comes back below FEW users with one, and where all are equal.
    """
    there = np.isfinite(values)
    if len(values) > LARGE:
        return [_of_many(own[known]) for own, known in zip(values.T, there.T, strict=True)]
    filled, drawn = np.where(there, values, 0.0), _resamples(len(values))
    means = np.full((RESAMPLES, values.shape[1]), np.nan)
    batch = max(1, BATCH // max(len(values), 1))
    for start in range(0, RESAMPLES, batch):
        times = drawn[start : start + batch].astype(np.float64)
        counts = times @ there
        np.divide(times @ filled, counts, out=means[start : start + batch], where=counts > 0)
    ends = []
    for own, known, resampled in zip(values.T, there.T, means.T, strict=True):
        if known.sum() < FEW or np.ptp(own[known]) == 0:
            ends.append((math.nan, math.nan))
            continue
        low, high = np.nanpercentile(resampled, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
        ends.append((float(low), float(high)))
    return ends


def _of_many(known: np.ndarray) -> tuple[float, float]:
    """The interval of a metric that some of very many users have: [U]."""
    if len(known) <= LARGE:
        return intervals(known[:, None])[0]
    return limit_of(known) if np.ptp(known) > 0 else (math.nan, math.nan)


def within(bounds: tuple[float, float], value: float, error: float, n: int) -> tuple[float, float]:
    """95 % interval of a value with a standard error, which stays inside the bounds of its metric; nan at a bound, or without an error.

    Student's interval on a scale without bounds, the logit of a share or the logarithm of a loss, and back (delta method: Agresti,
    "Categorical data analysis", 2002, section 3.1).

    Args:
        bounds: the least and the greatest value, which may be inf. n: users that the error comes from.
    """
    low, high = bounds
    if not (low < value < high and error > 0 and n >= FEW):
        return math.nan, math.nan
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * error
    if math.isinf(high):
        factor = math.exp(min(half / (value - low), MOST_EXPONENT))
        return low + (value - low) / factor, low + (value - low) * factor
    share = (value - low) / (high - low)
    step = half / (high - low) / (share * (1 - share))
    ends = [float(expit(logit(share) + sign * step)) for sign in (-1, 1)]
    return low + (high - low) * ends[0], low + (high - low) * ends[1]


def limit_of(values: np.ndarray) -> tuple[float, float]:
    """What the percentile interval of the mean tends to with many resamples: of values [U], not all equal.

    A resampled mean has the mean of the values, their variance over U, and their skewness over the root of U; its quantiles follow from
    these by the expansion of Cornish and Fisher (Hall, "The bootstrap and Edgeworth expansion", 1992, section 2.5). What is left out is of
    the order of 1/U: far below what RESAMPLES leave to chance. Skewness matters where few of many users have a hit.
    """
    n, mean = len(values), float(values.mean())
    apart = values - mean
    squares = apart * apart  # a power of 3 takes ten times as long
    deviation = math.sqrt(squares.mean())
    skewness = float((squares * apart).mean()) / deviation**3
    ends = [mean + deviation / math.sqrt(n) * (z + skewness * (Z * Z - 1) / (6 * math.sqrt(n))) for z in (-Z, Z)]
    return max(ends[0], float(values.min())), min(ends[1], float(values.max()))


def resampled_means(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Bootstrap means over users: [RESAMPLES, C] of values [U, C], U at most LARGE; resamples are shared by columns, and by all with U.

    Args:
        weights: [U], of each user's values; None: all alike. A weighted mean is a ratio of two sums, and both are resampled.
    """
    weights = np.ones(len(values)) if weights is None else weights
    both, drawn = np.column_stack([values * weights[:, None], weights]), _resamples(len(values))
    batch = max(1, BATCH // max(len(values), 1))
    sums = np.concatenate([drawn[start : start + batch].astype(np.float64) @ both for start in range(0, RESAMPLES, batch)])
    return sums[:, :-1] / sums[:, -1:]


@lru_cache(maxsize=2)
def _resamples(num_users: int) -> np.ndarray:
    """How often each of U users is drawn in each resample, [RESAMPLES, U]: a byte each, since nobody is drawn 256 times; 40 MB at most."""
    rng, drawn = np.random.default_rng(SEED), np.zeros((RESAMPLES, num_users), np.uint8)
    for times in drawn:
        times += np.bincount(rng.integers(0, num_users, num_users), minlength=num_users).astype(np.uint8)
    return drawn
