"""Laws of growth against planted ones: limit, gap and exponent, crossings against their closed form, and intervals by simulation."""

import numpy as np
import pytest

from engine.compare.growth.power_law import Laws, crossings, fit, interval

ROWS = np.array([5_000.0, 12_500, 25_000, 50_000])


def planted(limit: float, gap: float, exponent: float) -> Laws:
    """A law whose gap is at the largest of ROWS."""
    return Laws(np.array([limit]), np.array([gap]), np.array([exponent]), 50_000.0)


@pytest.mark.parametrize(("limit", "gap", "exponent"), [(0.3, 0.05, 0.5), (0.25, 0.02, 1.0), (0.4, 0.1, 0.2)])
def test_a_planted_law_is_found_and_foretells_ten_times_the_rows(limit: float, gap: float, exponent: float) -> None:
    law = planted(limit, gap, exponent)
    found = fit(ROWS, law.at(ROWS))
    assert found.exponent[0] == pytest.approx(exponent, rel=0.04)  # the nearest of those that are tried
    far = np.array([500_000.0])
    assert found.at(far)[0, 0] == pytest.approx(law.at(far)[0, 0], abs=0.05 * gap)
    np.testing.assert_allclose(found.at(ROWS), law.at(ROWS), atol=0.01 * gap)


def test_what_falls_with_more_rows_is_flat_and_no_limit_is_above_what_there_can_be() -> None:
    falling = fit(ROWS, np.array([[0.3, 0.29, 0.28, 0.27]]))
    assert (falling.gap[0], falling.limit[0]) == (0, pytest.approx(0.285))
    steep = fit(ROWS, np.array([[0.2, 0.4, 0.6, 0.8]]), most=1.0)
    assert steep.limit[0] <= 1.0
    assert steep.at(np.array([1e9]))[0, 0] <= 1.0


def test_laws_of_one_exponent_cross_where_algebra_says() -> None:
    ahead, other = planted(0.25, 0.02, 0.5), planted(0.28, 0.08, 0.5)
    exact = 50_000 * ((0.08 - 0.02) / (0.28 - 0.25)) ** (1 / 0.5)
    assert crossings(ahead, other, 5_000.0)[0] == pytest.approx(exact, rel=1e-3)


def test_no_crossing_within_a_hundred_times_is_infinite_and_a_lead_from_the_start_is_the_start() -> None:
    small = planted(0.25, 0.02, 0.5)
    assert crossings(small, planted(0.24, 0.05, 0.5), 5_000.0)[0] == np.inf
    assert crossings(planted(0.2, 0.01, 0.5), small, 5_000.0)[0] == 5_000.0


def test_an_interval_may_end_at_infinity() -> None:
    low, high = interval(np.array([1.0] * 5 + [2.0] * 90 + [np.inf] * 5))
    assert (low, high) == (1.0, np.inf)


def test_resampled_laws_cover_what_ten_times_the_rows_would_give() -> None:
    """Of 200 planted experiments, whose values have noise, the interval at ten times the rows holds the truth in about 95 %."""
    rng, law = np.random.default_rng(5), planted(0.3, 0.04, 0.5)
    shares, error, far = np.geomspace(2_000.0, 50_000, 6), 0.0006, np.array([500_000.0])
    truth, held = law.at(far)[0, 0], 0
    for _ in range(200):
        measured = law.at(shares) + rng.normal(0, error, 6)
        resampled = fit(shares, measured + rng.normal(0, error, (400, 6))).at(far)[:, 0]
        low, high = interval(resampled)
        held += low <= truth <= high
    assert 0.90 <= held / 200 <= 0.995
