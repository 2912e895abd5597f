"""Intervals of means against scipy's bootstrap, on either side of where resampling gives way to its limit; memory is bounded."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import bootstrap

from engine.compare import intervals as resampling
from engine.compare.intervals import RESAMPLES, intervals, resampled_means


def drawn(seed: int, users: int, share: float = 0.1) -> np.ndarray:
    """Values as NDCG has them: most users 0."""
    rng = np.random.default_rng(seed)
    return rng.random(users) * (rng.random(users) < share)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_resamples_as_scipy_does(seed: int) -> None:
    values = drawn(seed, 150, 0.5)
    theirs = bootstrap((values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=7).confidence_interval
    assert intervals(values[:, None])[0] == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert np.percentile(resampled_means(values[:, None])[:, 0], [2.5, 97.5]) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize("share", [0.3, 0.02])
def test_the_limit_is_where_many_resamples_end(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    values = drawn(1, 2000, share)[:, None]
    theirs = bootstrap((values[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=3).confidence_interval
    width = theirs.high - theirs.low
    monkeypatch.setattr(resampling, "LARGE", 1000)
    assert intervals(values)[0] == pytest.approx((theirs.low, theirs.high), abs=0.015 * width)
    mean, error = values.mean(), values.std() / np.sqrt(len(values))
    if share < 0.1:  # few hits: a symmetric interval would be seen to miss
        assert theirs.low - (mean - 1.96 * error) > 0.015 * width


def test_few_with_a_value_among_very_many_are_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "LARGE", 1000)
    values = np.full((3000, 4), np.nan)
    values[::100, 0], values[5, 1], values[:, 2] = drawn(2, 30, 0.8), 1.0, 0.5
    some = values[::100, 0]
    theirs = bootstrap((some,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=7).confidence_interval
    found = intervals(values)
    assert found[0] == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert np.isnan(found[1:]).all()  # one user, all equal, none


def test_memory_does_not_grow_with_users_times_resamples() -> None:
    values = drawn(3, 200_000)[:, None]
    tracemalloc.start()
    try:
        assert intervals(values) == intervals(values)
        assert tracemalloc.get_traced_memory()[1] < 10 * values.nbytes
    finally:
        tracemalloc.stop()


def test_weighted_means_are_resampled_as_ratios() -> None:
    rng = np.random.default_rng(4)
    values, weights = rng.normal(size=(80, 2)), rng.integers(1, 20, 80).astype(float)
    naive, again = [], np.random.default_rng(resampling.SEED)
    for _ in range(RESAMPLES):
        users = again.integers(0, 80, 80)
        naive.append(np.average(values[users], axis=0, weights=weights[users]))
    assert resampled_means(values, weights) == pytest.approx(np.array(naive))
    assert resampled_means(values[:1], weights[:1]) == pytest.approx(np.repeat(values[:1], RESAMPLES, axis=0))
