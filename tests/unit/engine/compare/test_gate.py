"""The gate: what it says of planted differences, against scipy and by simulation."""

import numpy as np
import pytest
from scipy import stats

from engine.compare.gate import Outcome, judge_margin
from tests.bench.gate import MODELS, SEEDS, population, shares


def drawn(rng: np.random.Generator, users: int, lead: float, spread: float = 0.1) -> np.ndarray:
    """Differences of users between two models: most are 0, as where both have the same list."""
    return np.where(rng.random(users) < 0.5, 0.0, rng.normal(0, spread, users)) + lead


def judged(differences: np.ndarray, margin: float) -> Outcome:
    mean = differences.mean()
    return judge_margin((differences - mean) / len(differences), float(mean), margin).outcome


def test_the_one_sided_tests_are_those_of_scipy() -> None:
    for seed in range(20):
        values = drawn(np.random.default_rng(seed), 300, lead=-0.002 * (seed % 5))
        greater = stats.ttest_1samp(values, -0.004, alternative="greater").pvalue
        less = stats.ttest_1samp(values, -0.004, alternative="less").pvalue
        wanted = Outcome.NOT_WORSE if greater < 0.05 else Outcome.WORSE if less < 0.05 else Outcome.UNKNOWN
        assert judged(values, 0.004) is wanted
        found = judge_margin((values - values.mean()) / 300, float(values.mean()), 0.004)
        ends = stats.ttest_1samp(values, 0).confidence_interval(0.9)
        assert (found.low, found.high) == pytest.approx((ends.low, ends.high))


def test_an_identical_model_passes_always_and_a_far_worse_one_never() -> None:
    rng = np.random.default_rng(7)
    assert {judged(np.zeros(828), 0.00137) for _ in range(100)} == {Outcome.NOT_WORSE}
    assert Outcome.NOT_WORSE not in {judged(drawn(rng, 828, lead=-0.05 * 0.137 * 4), 0.00137) for _ in range(100)}
    assert {judged(drawn(rng, 50_000, lead=-0.05 * 0.137), 0.00137) for _ in range(100)} == {Outcome.WORSE}


def test_of_real_looking_users_identical_lists_pass_always_and_five_percent_less_never() -> None:
    """By the simulation whose table is on the help page; users as many as it says that the answer needs."""
    for correlation, users in ((SEEDS, 2_500), (MODELS, 5_000)):
        values = population(correlation, 20_000)
        assert shares(values[:, [0, 0]], users, 0.0, 0.01, 100).not_worse == 1
        less = shares(values, users, -0.05, 0.01, 100)
        assert less.not_worse == 0 and less.worse > 0.7
        edge = shares(values, users, -0.01, 0.01, 1000)
        assert (edge.not_worse, edge.worse) == pytest.approx((0.05, 0.05), abs=0.025)


def test_at_the_edge_of_what_is_tolerated_no_more_than_one_in_twenty_passes() -> None:
    rng = np.random.default_rng(1)
    said = [judged(drawn(rng, 828, lead=-0.004), 0.004) for _ in range(2000)]
    assert 0.035 < np.mean([one is Outcome.NOT_WORSE for one in said]) < 0.066
    assert 0.035 < np.mean([one is Outcome.WORSE for one in said]) < 0.066


def test_the_users_that_would_tell_are_those_it_takes() -> None:
    rng = np.random.default_rng(3)
    values = drawn(rng, 400, lead=0.0)
    found = judge_margin((values - values.mean()) / 400, 0.0, 0.004)
    assert found.outcome is Outcome.UNKNOWN and found.needed is not None and found.needed > 400
    many = [judged(drawn(rng, found.needed, lead=0.0), 0.004) for _ in range(400)]
    assert 0.72 < np.mean([one is Outcome.NOT_WORSE for one in many]) < 0.88


def test_few_users_tell_nothing() -> None:
    assert judge_margin(np.zeros(9), 0.0, 0.1).outcome is Outcome.UNKNOWN
