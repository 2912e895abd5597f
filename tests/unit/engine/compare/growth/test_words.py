"""Sentences about growth say what was measured, what a law says, and that a law cannot be had."""

import math

import pytest

from engine.compare import judge, plain, sentences
from engine.compare.growth.learning_curves import Crossing, CurvePoint, Growth, LearningCurve, Reading
from engine.compare.growth.words import growth_sentences, rows_text, shares_text
from tests.compared import made

RISE, GAIN = Reading(0.05, 0.03, 0.07), Reading(0.012, 0.004, 0.02)
POINTS = tuple(CurvePoint(share, int(55_000 * share), 0.2 + share / 10, 0.1, 0.4, ("a" * 32,)) for share in (0.1, 0.25, 0.5, 1.0))


def said(*curves: LearningCurve, crossings: tuple[Crossing, ...] = ()) -> str:
    comparison = made(["EASE", "<b>DLRM</b>"])
    return "\n".join(map(plain, growth_sentences(comparison, Growth("ndcg_at_10", "users", curves, crossings))))


def test_a_law_says_what_ten_times_the_rows_would_give_and_that_this_is_not_measured() -> None:
    text = said(LearningCurve("A", POINTS, (), RISE, GAIN))
    assert text.startswith("A EASE: NDCG@10 0.210 on 5,500 rows, 0.300 on 55,000.")
    assert "ten times more rows would give +0.012 [0.004, 0.020] more; that is not measured" in text


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (LearningCurve("A", POINTS[1:], (), RISE), "3 sizes of data are too few for a law, which takes 4"),
        (LearningCurve("A", POINTS, (), RISE), "do not determine a law well enough"),
        (LearningCurve("A", POINTS, (), Reading(0.01, -0.01, 0.03)), "It is not clear that more data helps"),
        (LearningCurve("A", POINTS, (), Reading(-0.02, -0.03, -0.01)), "more users have made it worse"),
    ],
)
def test_without_a_law_it_says_why_in_place_of_a_number(curve: LearningCurve, expected: str) -> None:
    assert expected in said(curve)
    assert "ten times more rows would give +" not in said(curve)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (Reading(3e6, 1.2e6, 9e6), "B <b>DLRM</b> passes A EASE at about 3 million rows [1.2 million, 9 million]; that is not measured."),
        (Reading(3e6, 1.2e6, math.inf), "[1.2 million, beyond 100 times the rows that there are]"),
        (Reading(math.inf, math.inf, math.inf), "does not pass A EASE within 100 times the rows that there are."),
        (Reading(math.inf, 2e6, math.inf), "; at the earliest at 2 million rows."),
        (Reading(12_345.0, 9_000.0, 20_000.0), "With less data B <b>DLRM</b> is ahead of A EASE, which passes it at about 12,000 rows"),
        (Reading(3e6, 9_000.0, math.inf), "is not clear from their laws"),
    ],
)  # fmt: skip
def test_a_crossing_is_ahead_behind_nowhere_or_not_to_be_told(rows: Reading, expected: str) -> None:
    assert expected in said(LearningCurve("A", POINTS), crossings=(Crossing("A", "B", rows),))


def test_rows_and_shares_are_said_as_people_say_them() -> None:
    assert [rows_text(rows) for rows in (55_123, 3.21e6, 4.4e9)] == ["55,000", "3.2 million", "4.4 billion"]
    assert (shares_text([0.1]), shares_text([0.1, 0.25, 1])) == ("10 %", "10, 25 and 100 %")


def test_a_lead_over_a_run_on_fewer_users_is_no_win_and_the_verdict_says_why() -> None:
    equal = made(["EASE", "DLRM"])
    assert equal.verdict is not None
    assert equal.verdict.winner("ndcg_at_10") == "A"
    a, b, *rest = equal.contenders
    uneven = equal.model_copy(update={"contenders": [a, b.model_copy(update={"user_share": 0.25}), *rest], "verdict": None})
    verdict = judge(uneven)
    assert verdict.unequal_shares == {"A": 1.0, "B": 0.25}
    assert verdict.metrics["ndcg_at_10"].unsure_of == ("B", "pop")  # that over popularity is not tested here
    text = " ".join(map(plain, sentences(uneven.model_copy(update={"verdict": verdict}))))
    assert "Unequal data: B learned from 25 % of the users, the others from all of them; a lead of A may be owed to that." in text
    assert "For retrieval take" not in text
    other = equal.model_copy(update={"contenders": [a.model_copy(update={"user_share": 0.1}), b, *rest], "verdict": None})
    assert judge(other).metrics["ndcg_at_10"].unsure_of == ("pop",)  # with less, it is better all the same
    assert "A is best with less" in " ".join(map(plain, sentences(other.model_copy(update={"verdict": judge(other)}))))
