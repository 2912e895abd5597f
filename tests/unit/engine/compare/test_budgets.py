"""Budgets of contenders: in the verdict's record, in its sentences, and with a warning where they are not alike."""

from typing import Any

import pytest

from engine import runs
from engine.compare import Budget, Contender, judge, plain, sentences
from engine.compare.budgets import budget_of, budget_words, gaps
from engine.compare.verdict import BudgetGap
from tests.compared import made, others, pair
from tests.records import DATASET, run

SEARCHED = Budget(searched=True, trials=20, seconds=41.0)


def contenders(*budgets: Budget | None) -> list[Contender]:
    return [
        Contender(letter=chr(65 + at), run_id=chr(97 + at) * 32, name=f"Model {at}", model="dlrm", color_index=at, budget=budget)
        for at, budget in enumerate(budgets)
    ]


LESS, HALF = Budget(searched=True, trials=9), Budget(searched=True, trials=10)
HOUR = Budget(searched=True, trials=500, seconds=1000.0, minutes=60)
SLOW, STOPPED = Budget(searched=True, trials=4, seconds=3900.0, minutes=60), Budget(searched=True, trials=4, seconds=300.0, minutes=60)


@pytest.mark.parametrize(
    ("one", "other", "unequal"),
    [
        (SEARCHED, SEARCHED, False),
        (SEARCHED, HALF, False),
        (SEARCHED, LESS, True),
        (SEARCHED, Budget(), True),
        (Budget(), Budget(), False),
        (Budget(searched=True, trials=1), Budget(), True),
        (SEARCHED, None, False),
        (HOUR, SLOW, False),  # the same hour
        (HOUR, STOPPED, True),
    ],
)
def test_budgets_are_unequal_where_one_has_less_than_half_of_the_other(one: Budget, other: Budget | None, unequal: bool) -> None:
    found = gaps(contenders(one, other))
    assert found == ((BudgetGap(more="A", fewer="B"),) if unequal else ())
    if unequal and one.trials > 1:
        assert gaps(contenders(other, one)) == (BudgetGap(more="B", fewer="A"),)


def said(*budgets: Budget | None) -> str:
    comparison = made(["EASE", "Two-tower", "DLRM"][: len(budgets)])
    with_budgets = [c.model_copy(update={"budget": b}) for c, b in zip(comparison.contenders, [*budgets, None], strict=True)]
    comparison = comparison.model_copy(update={"contenders": with_budgets, "verdict": None})
    tests = {key: [pair(key, "A", c.letter) for c in with_budgets[1:-1]] for key in ("ndcg_at_10", "auc")}
    comparison = comparison.model_copy(update={"verdict": judge(comparison, tests | others(tests))})
    return "\n".join(plain(sentence) for sentence in sentences(comparison))


def test_the_verdict_warns_of_unequal_budgets_and_says_whom_they_favour() -> None:
    assert "Unequal budgets: A tried 20 settings, B one; a lead of A may be owed to that; tune each" in said(SEARCHED, Budget())
    assert "Unequal budgets: B tried 20 settings, A one; A is best with fewer trials; tune each" in said(Budget(), SEARCHED)
    three = said(SEARCHED, SEARCHED.model_copy(update={"trials": 40}), Budget())
    assert "Unequal budgets: B tried 40 settings, A 20, C one; a lead of A may be owed to that" in three
    assert "budgets" not in said(SEARCHED, HALF)


def test_a_contenders_budget_is_in_words() -> None:
    assert budget_words(SEARCHED) == "20 trials, 41.0 s"
    assert (budget_words(Budget()), budget_words(None)) == ("not searched", "")


def record(kind: str, **spec: Any) -> runs.Run:
    return run(kind, kind, spec={"dataset": DATASET, "model": {"kind": kind}} | spec)


def test_a_budget_is_what_a_run_spent(monkeypatch: pytest.MonkeyPatch, workspace: Any) -> None:
    ends = iter([{"trials": 12, "search_s": 30.0}, {"trials": 14, "search_s": 50.0}, {"chosen": {}}])
    monkeypatch.setattr(runs, "done", lambda run_id: next(ends))
    search = {"search": {"trials": 14, "minutes": 2}}
    seeds = [record("dlrm", **search), record("dlrm", **search)]
    assert budget_of(seeds) == Budget(searched=True, trials=13, seconds=40.0, minutes=2)
    assert budget_of([record("ease")]) == Budget(searched=True, trials=20)  # of a version that did not count them
    assert budget_of([record("dlrm")]) == budget_of([record("ease", model={"kind": "ease", "l2": 10})]) == Budget()
    assert budget_of([record("popularity")]) is None
