"""The expected best of n trials against resampling, and who to take for which budget."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compare import Comparison, plain
from engine.compare.expected_best import BudgetCurve, Takeover, _curve, expected_best, reading_notes, takeover, takeover_sentence
from engine.searches import Search, SearchTrial
from tests.compared import made

DRAWS = 40_000


def resampled(chosen_by: list[float], values: list[float], n: int, seed: int) -> tuple[float, float]:
    """The mean value of the best of n draws with replacement, and its standard error; of equals one at random."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(chosen_by), (DRAWS, n))
    best = np.argmax(np.asarray(chosen_by)[drawn] + rng.uniform(0, 1e-9, drawn.shape), axis=1)
    got = np.asarray(values)[drawn[np.arange(DRAWS), best]]
    return float(got.mean()), float(got.std() / DRAWS**0.5)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_it_is_what_resampling_gives(n: int) -> None:
    values = np.random.default_rng(0).normal(0.2, 0.05, 20).round(2).tolist()  # rounded, so that some are equal
    mean, error = resampled(values, values, n, seed=n)
    assert expected_best(values, n) == pytest.approx(mean, abs=5 * error + 1e-9)


@pytest.mark.parametrize("n", [1, 3, 12])
def test_what_is_reported_may_be_another_metric_than_what_chooses(n: int) -> None:
    rng = np.random.default_rng(1)
    chosen_by, values = rng.normal(0, 1, 12).tolist(), rng.normal(0, 1, 12).tolist()
    mean, error = resampled(chosen_by, values, n, seed=n)
    assert expected_best(chosen_by, n, values) == pytest.approx(mean, abs=5 * error)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.integers(1, 30))
def test_it_rises_from_the_mean_towards_the_best(values: list[float], n: int) -> None:
    assert expected_best(values, 1) == pytest.approx(np.mean(values), abs=1e-9)
    assert expected_best(values, n) <= expected_best(values, n + 1) + 1e-9 <= max(values) + 2e-9


def search(values: list[float | None], seconds: float = 2.0, sampler: Any = "tpe") -> Search:
    trials = tuple(
        SearchTrial(at, {"x": at}, "failed" if value is None else "done", value, {} if value is None else {"ndcg_at_10": value}, seconds)
        for at, value in enumerate(values, 1)
    )
    return Search("r", trials, len(values), None, sampler, "ndcg_at_10")


def test_a_curve_has_the_best_so_far_in_order_and_counts_failures_as_the_worst() -> None:
    curve = _curve("A", search([None, 0.1, 0.3, 0.2]), "ndcg_at_10")
    assert math.isnan(curve.so_far[0]) and curve.so_far[1:] == (0.1, 0.3, 0.3)
    assert curve.expected[0] == pytest.approx((0.1 + 0.1 + 0.3 + 0.2) / 4)
    assert (curve.passed, curve.seconds, curve.independent) == ((2, 4, 6, 8), (2, 4, 6, 8), False)


def curve(letter: str, *expected: float, each: float = 1.0) -> BudgetCurve:
    seconds = tuple(each * n for n in range(1, len(expected) + 1))
    return BudgetCurve(letter, expected, expected, seconds, seconds, True, "ndcg_at_10")


STEADY, RISING = curve("A", 0.20, 0.21, 0.21, 0.21), curve("B", 0.10, 0.18, 0.2101, 0.25, each=10.0)


def test_who_to_take_changes_where_another_is_better_by_what_matters() -> None:
    assert takeover([STEADY, RISING], "ndcg_at_10", "trials", 0.01) == [Takeover("A", 1), Takeover("B", 4)]
    assert takeover([STEADY, RISING], "ndcg_at_10", "trials", 0) == [Takeover("A", 1), Takeover("B", 3)]
    assert takeover([STEADY, RISING], "ndcg_at_10", "seconds", 0.01) == [Takeover("A", 1), Takeover("B", 40)]
    assert takeover([STEADY, RISING], "log_loss", "trials", 0.01)[0].letter == "B"  # lower is better


def test_it_is_said_in_words() -> None:
    comparison = made(["EASE", "Two-tower"])
    said = plain(takeover_sentence(comparison, [STEADY, RISING], "ndcg_at_10", "trials"))
    assert said == "With fewer than 4 trials take A EASE, with 4 trials or more B Two-tower (NDCG@10 on validation, in expectation)."
    said = plain(takeover_sentence(comparison, [STEADY, RISING], "ndcg_at_10", "seconds"))
    assert said.startswith("With less than 40.0 s take A EASE, with 40.0 s or more B Two-tower")
    said = plain(takeover_sentence(comparison, [STEADY, curve("B", 0.1, 0.1)], "ndcg_at_10", "trials"))
    assert said.startswith("Take A EASE for any budget up to 2 trials")
    assert takeover_sentence(comparison, [STEADY], "ndcg_at_10", "trials") == ()


def test_a_curve_by_another_metric_than_the_one_that_chose_says_so() -> None:
    assert reading_notes([STEADY, RISING], "ndcg_at_10") == []
    (note,) = reading_notes([STEADY, RISING], "auc")
    assert note == "What A, B tried was chosen by NDCG@10, so that the curve may fall by AUC."
    assert reading_notes([STEADY._replace(independent=False)], "ndcg_at_10")[0].startswith("Trials of TPE are not independent")


def test_who_is_ahead_on_validation_alone_is_said() -> None:
    comparison = made(["EASE", "Two-tower"])

    def with_test(a: float, b: float) -> Comparison:
        rows = [("ndcg_at_10", "A", a), ("ndcg_at_10", "B", b), ("auc", "A", 0.9)]
        return comparison.model_copy(update={"table": pd.DataFrame(rows, columns=["metric", "contender", "value"])})

    (note,) = reading_notes([STEADY, RISING], "ndcg_at_10", with_test(0.2, 0.1))
    assert note.startswith("After all trials B is ahead on validation, and A on test.")
    assert reading_notes([STEADY, RISING], "ndcg_at_10", with_test(0.1, 0.2)) == []
    assert reading_notes([STEADY, RISING], "ndcg_at_10", with_test(0.1, math.nan)) == [], "one alone is not ahead"
