"""Paired tests of a difference: over users, weighted or not, and over rows of an area under the ROC curve; corrected for their number."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.compare.intervals import BATCH, LARGE, LEVEL, SEED, Z, resampled_means

if TYPE_CHECKING:
    import pandas as pd

PAIRS_AT_ONCE = 64  # whose differences are in memory together
SIGN_FLIPS, MOST_SIGNS = (9_999, 99_999), 100_000_000  # at least and at most; signs drawn, where that lies between


class PairedTest(NamedTuple):
    """One pair of contenders; `difference` is a - b."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    p_wilcoxon: float
    effect: float
    n: int


def over_users(letters: Sequence[str], values: np.ndarray, weights: np.ndarray | None = None) -> list[PairedTest]:
    """Every two columns of values [U, C] against each other, by flipping signs of users' differences; none below two users or columns.

    Args:
        letters: [C]. weights: [U], above 0, of a user in the means, such as the number of rows behind a value; None: all alike. What one
            person does is not independent, so that all rows of a user are flipped and resampled together.
    """
    if len(values) < 2 or values.shape[1] < 2:
        return []
    weights = np.ones(len(values)) if weights is None else weights / weights.mean()
    both = list(combinations(range(values.shape[1]), 2))
    return _pairs(letters, values, weights, sign_flip_p(values * weights[:, None], both))


def over_users_of_all(frames: "dict[str, pd.DataFrame]") -> dict[str, list[PairedTest]]:
    """`over_users` of several metrics, unweighted: signs, which take most of the time, are drawn once for metrics of the same users.

    Args:
        frames: metric -> values: index user, a column per letter.
    """
    pairs = {}
    for metrics in _with_same_users(frames):
        values = np.hstack([frames[metric].to_numpy(float) for metric in metrics])
        widths = [frames[metric].shape[1] for metric in metrics]
        starts = np.concatenate([[0], np.cumsum(widths)])
        both = [list(combinations(range(start, start + width), 2)) for start, width in zip(starts, widths, strict=False)]
        p = sign_flip_p(values, [pair for of_metric in both for pair in of_metric])
        parts = np.split(p, np.cumsum([len(of_metric) for of_metric in both])[:-1])
        for metric, part in zip(metrics, parts, strict=True):
            frame = frames[metric]
            pairs[metric] = _pairs(list(frame.columns), frame.to_numpy(float), np.ones(len(frame)), part)
    return {metric: pairs.get(metric, []) for metric in frames}


def _with_same_users(frames: "dict[str, pd.DataFrame]") -> list[list[str]]:
    """The metrics that can be tested, grouped by their users."""
    groups: list[list[str]] = []
    for metric, frame in frames.items():
        if len(frame) > 1 and frame.shape[1] > 1:
            alike = next((group for group in groups if frames[group[0]].index.equals(frame.index)), None)
            if alike is None:
                groups.append([metric])
            else:
                alike.append(metric)
    return groups


def _pairs(letters: Sequence[str], values: np.ndarray, weights: np.ndarray, p: np.ndarray) -> list[PairedTest]:
    """Every two columns of values [U, C], whose p are known: [P]."""
    means = resampled_means(values, weights) if len(values) <= LARGE else None
    both = combinations(range(values.shape[1]), 2)
    return [_pair(letters, values, weights, pair, float(one), means) for pair, one in zip(both, p, strict=True)]


def _pair(
    letters: Sequence[str], values: np.ndarray, weights: np.ndarray, pair: tuple[int, int], p: float, means: np.ndarray | None
) -> PairedTest:
    """One pair; `weights` have mean 1. The error of a weighted mean is that of a ratio (Cochran, "Sampling techniques", 1977, ch. 6)."""
    from scipy.stats import wilcoxon

    a, b = pair
    apart, n = values[:, a] - values[:, b], len(values)
    mean = float((weights * apart).mean())
    deviation = math.sqrt((weights * (apart - mean) ** 2).sum() / (n - 1))
    if means is None:
        error = math.sqrt(((weights * (apart - mean)) ** 2).sum() / (n - 1) / n)
        low, high = mean - Z * error, mean + Z * error
    else:
        low, high = np.percentile(means[:, a] - means[:, b], [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    ranks = float(wilcoxon(apart, zero_method="pratt").pvalue) if np.any(apart) else math.nan
    effect = mean / deviation if deviation > 1e-12 else math.nan
    return PairedTest(letters[a], letters[b], mean, float(low), float(high), p, ranks, effect, n)


def sign_flip_p(values: np.ndarray, both: Sequence[tuple[int, int]]) -> np.ndarray:
    """Two-sided p of the mean difference between columns of values [U, C] being 0: [P], of one pair of columns each.

    A sum of sign-flipped differences is the difference of sign-flipped sums, so that signs are drawn once for all pairs. From LARGE users
    on the normal limit of the same distribution is taken, of mean 0 and variance the sum of squared differences.
    """
    left, right = (np.array([pair[side] for pair in both], int) for side in (0, 1))
    sums = values.sum(axis=0)
    observed = np.abs(sums[left] - sums[right])
    if len(values) > LARGE:
        from scipy.stats import norm

        roots = np.array([np.sqrt(((values[:, a] - values[:, b]) ** 2).sum()) for a, b in both])
        return 2 * norm.sf(np.divide(observed, roots, out=np.zeros(len(both)), where=roots > 0))
    rng, beyond, batch = np.random.default_rng(SEED), np.zeros(len(both)), max(1, BATCH // max(len(values), 1))
    width = -(-len(values) // 8)  # bytes of a sign a user
    flips = int(np.clip(MOST_SIGNS // max(len(values), 1), *SIGN_FLIPS))
    for start in range(0, flips, batch):
        size = min(batch, flips - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes(size * width), np.uint8).reshape(size, width), axis=1, count=len(values))
        flipped = 2.0 * (bits.astype(np.float64) @ values) - sums  # a sum with signs is twice that of the kept ones less the whole
        for some in np.array_split(np.arange(len(both)), -(-len(both) // PAIRS_AT_ONCE)):
            apart = np.abs(flipped[:, left[some]] - flipped[:, right[some]])
            beyond[some] += (apart >= observed[some] - 1e-9).sum(axis=0)  # sums of like terms differ by rounding
    return (beyond + 1) / (flips + 1)  # the observed signs are one of the draws: Phipson and Smyth 2010


def placements(scores: np.ndarray, liked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of disliked rows below each liked one, [M], and of liked rows above each disliked one, [N]; ties count half.

    The V10 and V01 of DeLong et al. 1988 (eq. 4, 5), through midranks: Sun and Xu, IEEE Signal Processing Letters 21(11), 2014.
    """
    from scipy.stats import rankdata

    ranks, m = rankdata(scores), int(liked.sum())
    above, below = (ranks[liked] - rankdata(scores[liked])) / (len(scores) - m), (ranks[~liked] - rankdata(scores[~liked])) / m
    return above.astype(np.float32), (1.0 - below).astype(np.float32)


def delong(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> tuple[float, float, float, float, float, float, int]:
    """difference, low, high, p, nan, nan, rows of two areas from their placements (DeLong et al. 1988, eq. 6 to 8).

    The variance of a difference of placements is the sum of both variances less twice their covariance. p is 1 where all are equal, and nan
    with fewer than two rows of a class.
    """
    from scipy.stats import norm

    above, below = (one.astype(float) - other for one, other in zip(a, b, strict=True))
    mean, n = float(above.mean()), len(above) + len(below)
    if min(len(above), len(below)) < 2:
        return mean, math.nan, math.nan, math.nan, math.nan, math.nan, n
    error = math.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    p = float(2 * norm.sf(abs(mean) / error)) if error > 0 else float(mean == 0)
    return mean, mean - 1.96 * error, mean + 1.96 * error, p, math.nan, math.nan, n


def holm(p: np.ndarray) -> np.ndarray:
    """p-values [M] corrected so that the chance of one false alarm among all is kept (Holm, Scand. J. Statistics 1979); nan stays nan."""
    found = np.full(len(p), math.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    found[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return found
