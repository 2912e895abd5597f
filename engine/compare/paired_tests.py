"""Paired tests of a difference: over users, weighted or not, and over rows of an area under the ROC curve; corrected for their number."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from engine.compare.intervals import BATCH, LARGE, LEVEL, SEED, Z, resampled_means

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
        letters: [C]. weights: [U], above 0, of a user in the means, such as the number of rows behind a value; None: all alike. A user's
            rows then stand or fall together, as what one person does is not independent: what is flipped and resampled is the user.
    """
    if len(values) < 2 or values.shape[1] < 2:
        return []
    weights = np.ones(len(values)) if weights is None else weights / weights.mean()
    both = list(combinations(range(values.shape[1]), 2))
    p, means = sign_flip_p(values * weights[:, None], both), resampled_means(values, weights) if len(values) <= LARGE else None
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
        beyond += (np.abs(flipped[:, left] - flipped[:, right]) >= observed - 1e-9).sum(axis=0)  # sums of like terms differ by rounding
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
