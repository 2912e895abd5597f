"""What a day of age costs: planted losses are found, over windows and not over models."""

import math

import pytest

from engine.compare import plain
from engine.compare.backtest.staleness import Aged, Staleness, daily_loss
from engine.compare.backtest.words import staleness_sentence
from tests.compared import made


def aged(*losses: tuple[int, float, float]) -> list[Aged]:
    """(window, days, share of the fresh value that is lost) each."""
    return [Aged(window, window + 1, days, 0.2, 0.2 * (1 - loss)) for window, days, loss in losses]


def test_a_planted_loss_is_found_with_the_spread_of_windows() -> None:
    points = aged((0, 10, 0.04), (0, 20, 0.08), (1, 10, 0.05), (2, 10, 0.03))
    daily, low, high = daily_loss(points)
    assert daily == pytest.approx((0.004 + 0.005 + 0.003) / 3)
    assert low < 0.003 and high > 0.005
    assert daily_loss(aged((0, 10, 0.04)))[0] == pytest.approx(0.004)
    assert math.isnan(daily_loss(aged((0, 10, 0.04)))[1])
    assert daily_loss(points, lower=True)[0] == pytest.approx(-daily)


def test_the_sentence_says_when_to_train_again_or_that_it_cannot_be_told() -> None:
    comparison = made(["EASE", "DLRM"])

    def said(*losses: tuple[int, float, float]) -> str:
        points = aged(*losses)
        return plain(staleness_sentence(comparison, Staleness("A", tuple(points), *daily_loss(points)), "ndcg_at_10"))

    sure = said((0, 10, 0.04), (1, 10, 0.041), (2, 10, 0.039))
    assert sure.startswith("A EASE: a day older costs 0.4 % [0.38 %, 0.42 %] of NDCG@10; retrain every 10 days to lose less than 4 %.")
    assert "models up to 30 days older do not show what a day of age costs" in said((0, 10, 0.04), (1, 30, -0.04))
