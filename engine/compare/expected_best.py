"""What another trial brings: the expected best of n trials of each contender that searched.

Dodge, Gururangan, Card, Schwartz and Smith, "Show Your Work: Improved Reporting of Experimental Results", EMNLP 2019: the expected
maximum of n draws, with replacement, from the values that were measured on validation.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from engine import searches
from engine.compare.contenders import Comparison, names
from engine.compare.judging import verdict_of
from engine.compare.numbers import count, duration
from engine.compare.phrases import Part, Sentence, plain_name
from engine.searches import Search, SearchTrial
from workers.artifacts import METRICS

Over = Literal["trials", "seconds"]
DEPENDENT_TRIALS = (
    "Trials of TPE are not independent draws: the first has the usual settings, and later ones look where earlier ones did well. The "
    "expectation takes them as if drawn in any order."
)


class BudgetCurve(NamedTuple):
    """One contender's expected best after 1, 2, … n trials, and what it had in the order in which they were tried.

    Of several seeds, which searched each for themselves, the mean as far as all of them went.
    """

    letter: str
    expected: tuple[float, ...]
    so_far: tuple[float, ...]  # nan before the first trial that has a value
    seconds: tuple[float, ...]  # of the first n trials, on average over which these are: n times the mean of one
    passed: tuple[float, ...]  # seconds until each trial had ended, in their order
    independent: bool  # whether trials are independent draws, as those of a random search are
    chosen_by: str | None  # the metric by which the search chose


def budget_metrics(comparison: Comparison) -> list[str]:
    """The validation metrics that every trial with a value of some search has: those of the verdict first, then those that choose."""
    found = [search for every in _searches(comparison).values() for search in every]
    chosen_by = [search.metric for search in found if search.metric]
    measured = [set.intersection(*(set(one.valid) for one in search.with_value)) for search in found if search.with_value]
    known = [key for key, metric in METRICS.items() if metric.crowned and any(key in own for own in measured)]
    judged = [one.metric for one in verdict_of(comparison).stages]
    return [key for key in dict.fromkeys([*judged, *chosen_by, *known]) if key in known]


def budget_curves(comparison: Comparison, metric: str) -> list[BudgetCurve]:
    """The curves by a metric on validation, in the order of the letters: of contenders whose searches measured it in two trials or more."""
    curves = []
    for letter, every in _searches(comparison).items():
        with_metric = [search for search in every if len(_counted(search, metric)) > 1]
        if with_metric and len(with_metric) == len(every):
            curves.append(_mean([_curve(letter, search, metric) for search in every]))
    return curves


def _searches(comparison: Comparison) -> dict[str, list[Search]]:
    """Letter -> the search of each of its runs; only contenders all of whose runs searched."""
    found = {one.letter: [searches.of_run(run_id) for run_id in one.runs] for one in comparison.contenders if one.run_id is not None}
    return {letter: [one for one in every if one] for letter, every in found.items() if every and all(every)}


def _counted(search: Search, metric: str) -> list[SearchTrial]:
    """The trials that count: all, where those that have a value have the metric too; else none."""
    known = search.with_value
    return list(search.trials) if known and all(metric in one.valid for one in known) else []


def _curve(letter: str, search: Search, metric: str) -> BudgetCurve:
    trials = _counted(search, metric)
    chosen_by = [-math.inf if one.value is None else one.value for one in trials]
    worst = _worst([one.valid[metric] for one in search.with_value], metric)
    values = [worst if one.value is None else one.valid[metric] for one in trials]
    best, so_far = -math.inf, []
    for one in trials:
        if one.value is not None and one.value > best:
            best, held = one.value, one.valid[metric]
        so_far.append(held if best > -math.inf else math.nan)
    passed, many = np.cumsum([one.seconds for one in trials]), len(trials)
    expected = tuple(expected_best(chosen_by, n, values) for n in range(1, many + 1))
    each = tuple(float(passed[-1]) / many * n for n in range(1, many + 1))
    return BudgetCurve(letter, expected, tuple(so_far), each, tuple(map(float, passed)), search.sampler == "random", search.metric)


def _worst(values: Sequence[float], metric: str) -> float:
    """What a trial that failed counts as: the worst of those that did not."""
    return max(values) if METRICS[metric].better == "lower" else min(values)


def expected_best(chosen_by: Sequence[float], n: int, values: Sequence[float] | None = None) -> float:
    """The expected value of the best of n draws with replacement.

    Args:
        chosen_by: [T] what the best of a draw is chosen by, more being better.
        n: draws, 1 or more.
        values: [T] what is expected of the one that is chosen; None: what it is chosen by, as in the paper. Of equals the mean counts.
    """
    order, place = np.unique(np.asarray(chosen_by, float), return_inverse=True)
    counts = np.bincount(place, minlength=len(order))
    below = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    weights = below[1:] ** n - below[:-1] ** n  # the probability that the best of n draws is this one
    means = np.bincount(place, weights=np.asarray(chosen_by if values is None else values, float), minlength=len(order)) / counts
    return float(weights @ means)


def _mean(curves: Sequence[BudgetCurve]) -> BudgetCurve:
    """The mean over seeds, as far as all of them went."""
    many = min(len(one.expected) for one in curves)

    def mean(name: str) -> tuple[float, ...]:
        return tuple(np.mean([getattr(one, name)[:many] for one in curves], axis=0).tolist())

    return curves[0]._replace(
        expected=mean("expected"), so_far=mean("so_far"), seconds=mean("seconds"), passed=mean("passed"),
        independent=all(one.independent for one in curves),
    )  # fmt: skip


def reading_notes(curves: Sequence[BudgetCurve], metric: str, comparison: Comparison | None = None) -> list[str]:
    """What is to be known of curves: that trials of TPE are no independent draws, whose best was chosen by another metric, and whether
    another contender is ahead on test.

    Args:
        comparison: with what was measured on test; None: only curves are spoken of.
    """
    notes = [DEPENDENT_TRIALS] if not all(one.independent for one in curves) else []
    for key in dict.fromkeys(one.chosen_by for one in curves if one.chosen_by not in (None, metric)):
        letters = ", ".join(one.letter for one in curves if one.chosen_by == key)
        notes.append(
            f"What {letters} tried was chosen by {METRICS[key or ''].label}, so that the curve may fall by {METRICS[metric].label}."
        )
    return notes if comparison is None else [*notes, *_other_on_test(comparison, curves, metric)]


def _other_on_test(comparison: Comparison, curves: Sequence[BudgetCurve], metric: str) -> list[str]:
    sign = -1.0 if METRICS[metric].better == "lower" else 1.0
    measured = comparison.table[(comparison.table["metric"] == metric) & comparison.table["value"].notna()]
    test = {str(letter): sign * float(value) for letter, value in zip(measured["contender"], measured["value"], strict=True)}
    valid = {one.letter: sign * one.expected[-1] for one in curves if one.letter in test and one.chosen_by in (None, metric)}
    if len(valid) < 2:
        return []
    expected, tested = max(valid, key=valid.__getitem__), max(valid, key=test.__getitem__)
    if expected == tested:
        return []
    return [
        f"After all trials {expected} is ahead on validation, and {tested} on test. The best of many trials and epochs is partly the "
        "luckiest on validation, above all where a curve goes up and down; the verdict goes by test."
    ]


class Takeover(NamedTuple):
    """From some budget on, up to the next takeover, a contender has the best expectation; or is as good, by less than what matters."""

    letter: str
    at: float  # trials, or seconds


def takeover(curves: Sequence[BudgetCurve], metric: str, over: Over, threshold: float) -> list[Takeover]:
    """Who to take for which budget, from the smallest budget on; up to the largest that all contenders tried.

    Args:
        threshold: the share of a value by which another must be better to take over.
    """
    if not curves:
        return []
    sign = -1.0 if METRICS[metric].better == "lower" else 1.0
    axes = {one.letter: tuple(float(n) for n in range(1, len(one.expected) + 1)) if over == "trials" else one.seconds for one in curves}
    end = min(axis[-1] for axis in axes.values()) if over == "trials" else max(axis[-1] for axis in axes.values())
    found: list[Takeover] = []
    for at in sorted({point for axis in axes.values() for point in axis if point <= end}):
        now = {one.letter: value for one in curves if (value := _at(axes[one.letter], one.expected, at)) is not None}
        best = max(now, key=lambda letter: sign * now[letter])
        held = now.get(found[-1].letter) if found else None
        if held is None or (best != found[-1].letter and sign * (now[best] - held) > threshold * abs(held)):
            found.append(Takeover(best, at))
    return found


def _at(axis: Sequence[float], values: Sequence[float], at: float) -> float | None:
    """The value at a budget: of the last point within it; None before the first."""
    place = int(np.searchsorted(axis, at, side="right")) - 1
    return None if place < 0 else values[place]


def takeover_sentence(comparison: Comparison, curves: Sequence[BudgetCurve], metric: str, over: Over) -> Sentence:
    """Whom to take for which budget: with fewer than 8 trials EASE, with 8 or more the two-tower. Empty for fewer than two contenders."""
    if len(curves) < 2:
        return ()
    short, found = names(comparison.contenders), takeover(curves, metric, over, comparison.threshold)
    who = [Part(f"{one.letter} {plain_name(short[one.letter])}", name=True) for one in found]
    lengths = {len(one.expected) for one in curves}
    most, apart = min(lengths), over == "trials" and len(lengths) > 1
    reach = f", up to the {count(most)} trials that all made" if apart and len(found) > 1 else ""
    label = f" ({METRICS[metric].label} on validation, in expectation{reach})."
    if len(found) == 1:
        reach = f"up to {count(most)} trials" if over == "trials" else "of time"
        return Part("Take "), who[0], Part(f" for any budget {reach}: nobody is expected to be better by what matters{label}")
    amounts = [f"{count(one.at)} trials" if over == "trials" else duration(one.at) for one in found]
    fewer = "fewer" if over == "trials" else "less"
    parts = [Part(f"With {fewer} than {amounts[1]} take "), who[0]]
    for place, name in enumerate(who[1:], 1):
        last = place == len(found) - 1
        until = " or more" if last else f" to {amounts[place + 1]}"
        parts += [Part(f", with {amounts[place]}{until} "), name]
    return *parts, Part(label)
