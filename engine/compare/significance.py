"""How sure a difference between two contenders is: paired tests over the same users, corrected for their number, and what they answer."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.compare import lists_at_k
from engine.compare.contenders import Comparison
from engine.compare.intervals import within
from engine.compare.paired_tests import ALPHA, Measured, PairedTest, SeedNoise, holm, test_pairs
from engine.compare.paired_values import per_user, user_tables
from engine.compare.row_metrics import ROW_METRICS, SET_METRICS, Estimates, estimates_of
from engine.compare.seed_noise import allowances, noise
from engine.compare.verdict import Answer, PairVerdict, Reason
from workers.artifacts import metric as metric_of
from workers.evaluation import standard_error

if TYPE_CHECKING:
    import pandas as pd

OVER_ROWS = (*ROW_METRICS, *SET_METRICS)


class Corrected(NamedTuple):
    """p-values of a pair, corrected for the number of pairs; see `PairedTest`."""

    p: float
    p_users: float
    p_same: float


def testable(comparison: Comparison) -> list[str]:
    """Metrics by which at least two contenders were tested against each other, in their usual order; those of lists at its k."""
    return list(all_pairs(comparison))


def pairs(comparison: Comparison, metric: str) -> list[PairVerdict]:
    """Every two contenders by one metric, in the order of their letters; none where what a test needs is not in the workspace.

    A metric is tested over users: means over users by their values, metrics over rows by the influence of each user on them, all rows of
    one user together. Where the data names no users rows are tested. Seeds of a contender are averaged per user first, and what another
    seed would do is part of the error. See `engine.compare.paired_tests` for the tests, and `PairVerdict` for the numbers.
    """
    return all_pairs(comparison).get(metric, [])


def all_pairs(comparison: Comparison) -> dict[str, list[PairVerdict]]:
    """What `pairs` gives, of every metric that can be tested: files are read once."""
    return comparison.tests if comparison.tests is not None else tests_of(comparison, measured_by(comparison))


def tests_of(comparison: Comparison, measured: Mapping[str, Measured]) -> dict[str, list[PairVerdict]]:
    """What `all_pairs` gives, from what `measured_by` gives; baselines are not tested among themselves alone."""
    ours = {one.letter for one in comparison.contenders if one.run_id is not None}
    return {key: _judged(comparison, key, one) for key, one in measured.items() if len(one.letters) > 1 and ours & set(one.letters)}


def with_intervals(table: "pd.DataFrame", measured: Mapping[str, Measured]) -> "pd.DataFrame":
    """The table of a comparison with the intervals of metrics over rows, of all whose scored rows are here."""
    ends = {}
    for key, one in measured.items():
        if key in OVER_ROWS:
            for letter, influence in zip(one.letters, one.influence.T, strict=True):
                ends[key, letter] = standard_error(influence), len(influence)
    rows = zip(table["metric"], table["contender"], table["value"], table["low"], table["high"], strict=True)
    both = [
        within(metric_of(key).bounds, value, *ends[key, letter]) if (key, letter) in ends else (low, high)
        for key, letter, value, low, high in rows
    ]
    return table.assign(low=[low for low, _ in both], high=[high for _, high in both])


def measured_by(comparison: Comparison) -> dict[str, Measured]:
    """Metric -> its values and the influence of each user, of every contender whose results are here; in the usual order of metrics."""
    users, rows = user_tables(comparison), estimates_of(comparison)
    shown = comparison.table[comparison.table["value"].notna()].groupby("metric")["contender"].agg(set).to_dict()
    every = {}
    for key in lists_at_k.keys_at(comparison.k):
        if key in OVER_ROWS:
            one = _of_rows(rows, key, shown.get(key, set()))
        else:
            one = _of_users(per_user(users, key)) if any(key in table for table in users.values()) else None
        if one is not None:
            every[key] = one
    return every


def _of_users(values: "pd.DataFrame") -> Measured | None:
    """A mean over users, from values: index user, a column per letter."""
    if values.empty:
        return None
    numbers = values.to_numpy(float)
    return Measured([str(letter) for letter in values], numbers.mean(axis=0), (numbers - numbers.mean(axis=0)) / len(numbers))


def _of_rows(rows: Mapping[str, Sequence[Estimates]], key: str, shown: "set[str]") -> Measured | None:
    """A metric over rows, of those that have a value of it and scored the same rows as the first; the mean of seeds."""
    there = {letter: seeds for letter, seeds in rows.items() if letter in shown and all(key in one.metrics for one in seeds)}
    alike = {letter: seeds for letter, seeds in there.items() if {one.rows for one in seeds} == {next(iter(there.values()))[0].rows}}
    if not alike:
        return None
    every = {letter: [one.metrics[key] for one in seeds] for letter, seeds in alike.items()}
    values = np.array([np.mean([one.value for one in seeds]) for seeds in every.values()])
    influence = np.column_stack([np.mean([one.influence for one in seeds], axis=0) for seeds in every.values()])
    return Measured(list(every), values, influence, next(iter(alike.values()))[0].unit)


def threshold_of(comparison: Comparison, metric: str, a: float, b: float) -> float:
    """The difference between two values that matters: a share of the larger distance from chance."""
    return comparison.threshold * max(abs(value - metric_of(metric).chance) for value in (a, b))


def _judged(comparison: Comparison, metric: str, measured: Measured) -> list[PairVerdict]:
    allowed = allowances(comparison, metric)
    values = measured.values
    thresholds = np.array([[threshold_of(comparison, metric, a, b) for b in values] for a in values])
    tests = test_pairs(measured, [noise(allowed[one]) if one in allowed else SeedNoise() for one in measured.letters], thresholds)
    p, p_users, p_same = (holm(np.array([getattr(test, name) for test in tests])) for name in ("p", "p_users", "p_same"))
    places = {letter: place for place, letter in enumerate(measured.letters)}
    return [
        _pair(comparison, metric, measured.unit, test, Corrected(*map(float, own)), float(thresholds[places[test.a], places[test.b]]))
        for test, own in zip(tests, zip(p, p_users, p_same, strict=True), strict=True)
    ]


def _pair(comparison: Comparison, metric: str, unit: str, test: PairedTest, corrected: Corrected, threshold: float) -> PairVerdict:
    answer, reason = _answer(comparison, metric, test, corrected)
    numbers = {name: _finite(getattr(test, name)) for name in ("low", "high", "p", "smallest")}
    return PairVerdict(
        a=test.a,
        b=test.b,
        metric=metric,
        lead=test.difference,
        difference=test.difference,
        **numbers,
        p_holm=_finite(corrected.p),
        p_same=_finite(corrected.p_same),
        threshold=threshold,
        needed=math.ceil(test.needed) if math.isfinite(test.needed) else None,
        n=test.n,
        unit=unit,
        answer=answer,
        reason=reason,
    )


def _answer(comparison: Comparison, metric: str, test: PairedTest, corrected: Corrected) -> tuple[Answer, Reason | None]:
    """What a tested pair tells."""
    p, p_users, p_same = corrected
    if same_settings(comparison, test.a, test.b):
        return Answer.UNKNOWN, Reason.SAME_SETTINGS
    if math.isnan(p):
        return Answer.UNKNOWN, Reason.FEW_USERS
    a_leads = (test.difference > 0) == (metric_of(metric).better == "higher")
    if p < ALPHA:
        slightly = p_same < ALPHA
        return (Answer.A_SLIGHTLY if slightly else Answer.A_BETTER) if a_leads else (
            Answer.B_SLIGHTLY if slightly else Answer.B_BETTER
        ), None
    if p_same < ALPHA:
        return Answer.SAME, None
    return Answer.UNKNOWN, Reason.SEEDS if p_users < ALPHA else Reason.CHANCE


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def same_settings(comparison: Comparison, a: str, b: str) -> bool:
    """Whether two runs differ in their seed alone: users cannot show more about them than how lucky a seed was."""
    every, models = comparison.settings, {one.letter: one.model for one in comparison.contenders}
    if every is None or models[a] != models[b] or not {"setting", a, b} <= set(every.columns):
        return False
    every = every[~every["setting"].isin(["train.seed", "name"])]
    return bool(((every[a] == every[b]) | (every[a].isna() & every[b].isna())).all())
