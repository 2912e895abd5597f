"""Paired tests of a difference between two contenders, from the influence of each user on their metrics; corrected for their number.

Student's t for every metric: for means over users it is the most dependable of the usual tests (Urbano, Lima and Hanjalic, "Statistical
significance testing in information retrieval", SIGIR 2019), and with influences in place of values it holds for areas, ratios and roots
as well, rows of one user taken together (see `workers.evaluation.clustered`). What seeds do adds to the variance.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from workers.evaluation import FEW, Floats

ALPHA, POWER = 0.05, 0.8
MOST_DF = 1e9  # stands for infinity
EQUAL = 1e-12  # below which a difference is rounding


class Measured(NamedTuple):
    """A metric of C contenders over the same U users, or rows where the data names no users."""

    letters: Sequence[str]
    values: Floats  # [C]
    influence: Floats  # [U, C]
    unit: str = "users"


class SeedNoise(NamedTuple):
    """The variance that seeds give to a contender's value, and the degrees of freedom that it was estimated with."""

    variance: float = 0.0
    df: float = MOST_DF


class PairedTest(NamedTuple):
    """One pair of contenders; `difference` is a - b. Numbers are nan with fewer than FEW users."""

    a: str
    b: str
    difference: float
    low: float  # 95 % interval
    high: float
    p: float  # two-sided
    p_users: float  # the same if seeds changed nothing
    p_same: float  # of the difference being as large as the threshold, or larger: two one-sided tests (Schuirmann 1987)
    n: int
    error: float  # standard error, of users and of seeds
    smallest: float  # the difference that POWER of such tests would show
    needed: float  # users with whom POWER of tests would give an answer; inf where no number of users would


def test_pairs(measured: Measured, seeds: Sequence[SeedNoise], thresholds: Floats) -> list[PairedTest]:
    """Every two contenders against each other.

    Args:
        seeds: [C]. thresholds: [C, C] the difference that matters, of each pair.
    """
    both = list(combinations(range(len(measured.letters)), 2))
    users, products = len(measured.influence), measured.influence.T @ measured.influence
    level = ALPHA / max(len(both), 1)  # what a corrected p of one pair among so many comes to at worst
    tests = []
    for a, b in both:
        squares = max(0.0, products[a, a] + products[b, b] - 2 * products[a, b])
        of_users = SeedNoise(squares * users / (users - 1) if users > 1 else math.nan, users - 1)
        difference = float(measured.values[a] - measured.values[b])
        numbers = _tested(difference, [of_users, seeds[a], seeds[b]], float(thresholds[a, b]), level, users)
        tests.append(PairedTest(measured.letters[a], measured.letters[b], difference, *numbers))
    return tests


def _tested(
    difference: float, parts: list[SeedNoise], threshold: float, level: float, users: int
) -> tuple[float, float, float, float, float, int, float, float, float]:
    """The other numbers of a PairedTest, from the variance of users and those of the two contenders' seeds."""
    if users < FEW:
        return math.nan, math.nan, math.nan, math.nan, math.nan, users, math.nan, math.nan, math.nan
    of_users, of_seeds = parts[0].variance, sum(one.variance for one in parts[1:])
    error, df = math.sqrt(of_users + of_seeds), _df(parts)
    half = float(stdtrit(df, 1 - ALPHA / 2)) * error
    p, p_users = _p(difference, error, df), _p(difference, math.sqrt(of_users), parts[0].df)
    p_same = float(abs(difference) >= threshold) if error < EQUAL else float(stdtr(df, (abs(difference) - threshold) / error))
    smallest = _quantiles(level / 2, df) * error
    needed = _needed(abs(difference), threshold, of_users * users, of_seeds, level)
    return difference - half, difference + half, p, p_users, p_same, users, error, smallest, needed


def _p(difference: float, error: float, df: float) -> float:
    """Two-sided, of Student's t; 1 or 0 where there is no error."""
    return float(abs(difference) < EQUAL) if error < EQUAL else float(2 * stdtr(df, -abs(difference) / error))


def _df(parts: list[SeedNoise]) -> float:
    """Degrees of freedom of a sum of variances (Welch 1947, Satterthwaite 1946)."""
    total = sum(one.variance for one in parts)
    below = sum(one.variance**2 / one.df for one in parts)
    return min(MOST_DF, total**2 / below) if below > 0 else MOST_DF


def _quantiles(alpha: float, df: float = MOST_DF, power: float = POWER) -> float:
    """How many standard errors a difference must have to be seen so often; 2.80 for 0.025 (Cohen 1988, chapter 2)."""
    return float(stdtrit(df, 1 - alpha) + stdtrit(df, power))


def _needed(difference: float, threshold: float, of_one_user: float, of_seeds: float, level: float) -> float:
    """Users with whom POWER of tests would show the difference, or that it is below the threshold, whichever are fewer."""

    def users(gap: float, quantiles: float) -> float:
        left = (gap / quantiles) ** 2 - of_seeds
        return of_one_user / left if gap > 0 and left > 0 else math.inf

    near = POWER if difference > threshold / 2 else (1 + POWER) / 2  # of a difference near 0 both one-sided tests must succeed
    return min(users(difference, _quantiles(level / 2)), users(threshold - difference, _quantiles(level, power=near)))


def holm(p: Floats) -> Floats:
    """p-values [M] corrected so that the chance of one false alarm among all is kept (Holm, Scand. J. Statistics 1979); nan stays nan."""
    corrected = np.full(len(p), math.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return corrected
