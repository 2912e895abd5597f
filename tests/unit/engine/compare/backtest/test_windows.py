"""Contenders over windows: wins, mean differences and their interval, by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from engine.compare import plain
from engine.compare.backtest.windows import Window, Windows, mean_interval, pairs_over
from engine.compare.backtest.words import window_sentences
from tests.compared import made


def test_wins_and_the_mean_difference_count_windows_that_both_have() -> None:
    values = np.array([[0.3, 0.2], [0.28, 0.25], [0.2, 0.21], [np.nan, 0.9]])
    (pair,) = pairs_over("ndcg_at_10", ["A", "B"], values)
    assert (pair.a, pair.b, pair.wins_a, pair.wins_b, pair.windows) == ("A", "B", 2, 1, 3)
    differences = [0.1, 0.03, -0.01]
    assert pair.difference == pytest.approx(np.mean(differences))
    wanted = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (pair.low, pair.high) == pytest.approx((wanted.low, wanted.high))


def test_of_a_metric_where_less_is_better_the_lower_one_is_a() -> None:
    (pair,) = pairs_over("rmse", ["A", "B"], np.array([[1.0, 0.9], [1.1, 0.9]]))
    assert (pair.a, pair.wins_a) == ("B", 2)


def test_one_window_has_no_interval_and_none_in_common_no_pair() -> None:
    assert all(map(math.isnan, mean_interval(np.array([0.1]))))
    assert pairs_over("ndcg_at_10", ["A", "B"], np.array([[0.1, np.nan], [np.nan, 0.2]])) == ()


def test_the_sentence_says_when_the_windows_do_not_tell() -> None:
    comparison = made(["EASE", "DLRM"])

    def said(*rows: tuple[float, float]) -> str:
        values, window = np.array(rows), Window(None, None, 100)
        pairs = pairs_over("ndcg_at_10", ["A", "B"], values)
        found = Windows("ndcg_at_10", ("A", "B"), (window,) * len(rows), values, pairs)
        return " ".join(map(plain, window_sentences(comparison, found)))

    sure = said((0.3, 0.2), (0.31, 0.2), (0.29, 0.2), (0.3, 0.2))
    assert sure.startswith("A EASE has the better NDCG@10 in 4 of 4 windows than B DLRM, by 0.100 [")
    assert "cannot be told" not in sure
    assert "2 windows are too few to say that it will next month" in said((0.3, 0.2), (0.2, 0.21))
