"""Who is ahead, judged once for a comparison, by paired tests: nobody wins what was not tested."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.compare.budgets import gaps, unequal_shares
from engine.compare.contenders import Comparison, competitors
from engine.compare.facts import FIT, TRAINING
from engine.compare.seed_noise import allowances
from engine.compare.significance import all_pairs, same_settings
from engine.compare.verdict import (
    Allowance,
    Answer,
    Baseline,
    BaselineVerdict,
    CostNote,
    MetricVerdict,
    PairVerdict,
    Reason,
    StageVerdict,
    Verdict,
)
from workers.artifacts import metric as metric_of

STAGES = (
    ("For retrieval", ("ndcg_at_{k}",)),
    ("For ranking", ("auc",)),
    ("For predicting the value", ("rmse",)),
    ("For predicting the class", ("class_log_loss", "accuracy")),
    ("For predicting actions", ("action_auc",)),
    ("For rating sets of items", ("set_rmse",)),
)  # what a model is for, and the metric that says it best: the first that was measured
CLEARLY = 1.5  # times that a cost must differ to be worth a sentence


REVERSED = {
    Answer.A_BETTER: Answer.B_BETTER,
    Answer.B_BETTER: Answer.A_BETTER,
    Answer.A_SLIGHTLY: Answer.B_SLIGHTLY,
    Answer.B_SLIGHTLY: Answer.A_SLIGHTLY,
}


class Value(NamedTuple):
    """What a contender has by one metric."""

    letter: str
    value: float


def verdict_of(comparison: Comparison) -> Verdict:
    """The record of a comparison: what `compare` made, or made now for a comparison that was put together otherwise."""
    return comparison.verdict or judge(comparison)


def judge(comparison: Comparison, tests: Mapping[str, Sequence[PairVerdict]] | None = None) -> Verdict:
    """Who is ahead by each metric that has a best and was measured.

    Args:
        tests: of each metric that can be tested what `pairs` gives; None: those of the comparison, else they are made.
    """
    known = all_pairs(comparison) if tests is None else tests
    keys = [key for key in dict.fromkeys(comparison.table["metric"]) if metric_of(key).crowned]
    every = {key: _metric(comparison, key, known.get(key, ()), allowances(comparison, key)) for key in keys}
    judged = {key: verdict for key, verdict in every.items() if verdict is not None}
    stages = []
    for stage, names in STAGES:
        metrics = [name for one in names if (name := one.format(k=comparison.k)) in judged and judged[name].run is not None]
        stages += [StageVerdict(stage=stage, metric=metrics[0])] if metrics else []
    budgets = {one.letter: one.budget for one in comparison.contenders if one.budget is not None}
    unequal = gaps(comparison.contenders)
    return Verdict(
        metrics=judged,
        stages=tuple(stages),
        threshold=comparison.threshold,
        budgets=budgets,
        unequal_budgets=unequal,
        unequal_shares=unequal_shares(comparison.contenders),
    )


def _metric(comparison: Comparison, key: str, tested: Sequence[PairVerdict], allowed: Mapping[str, Allowance]) -> MetricVerdict | None:
    """None where nobody has a value."""
    values = _values(comparison, key)
    if not values:
        return None
    pairs = Pairs(comparison, key, tested)
    competing, of_runs = {c.letter for c in competitors(comparison)}, {c.letter for c in comparison.contenders if c.run_id is not None}
    rivals, own = [one for one in values if one.letter in competing], [one for one in values if one.letter in of_runs]
    if not any(Baseline.RANDOM.value in (pair.a, pair.b) for pair in tested):  # a random order keeps no scores to be tested over
        rivals = [one for one in rivals if one.letter != Baseline.RANDOM.value] if own else rivals
    leader = rivals[0].letter if len(rivals) > 1 and rivals[0].value != rivals[1].value else None
    shares = unequal_shares(comparison.contenders)
    fewer = {letter for letter, share in shares.items() if share < shares.get(leader or "", 0.0)}  # who learned from less is no equal rival
    unsure = [other.letter for other in rivals[1:] if other.letter in fewer or not pairs.of(rivals[0], other).clearly] if leader else []
    if not own:
        return MetricVerdict(metric=key, leader=leader, unsure_of=tuple(unsure))
    first, *others = own
    judged = [pairs.of(first, other) for other in others]
    return MetricVerdict(
        metric=key,
        leader=leader,
        unsure_of=tuple(unsure),
        run=first.letter,
        value=first.value,
        runs=tuple(judged),
        baselines=tuple(_baselines(comparison, key, pairs, first, values)),
        best_possible=_best_possible(comparison, values),
        cost=_cost(comparison, first.letter, judged),
        allowances=dict(allowed),
        one_seed=tuple(one.letter for one in own if one.letter in allowed and allowed[one.letter].seeds == 1),
    )


def _values(comparison: Comparison, key: str) -> list[Value]:
    """Contenders that have a value, best first; equal ones in the order of their letters."""
    table = comparison.table[(comparison.table["metric"] == key) & comparison.table["value"].notna()]
    values = [Value(str(letter), float(value)) for letter, value in zip(table["contender"], table["value"], strict=True)]
    return sorted(values, key=lambda one: one.value if metric_of(key).better == "lower" else -one.value)


class Pairs:
    """Judges any two contenders by one metric."""

    def __init__(self, comparison: Comparison, metric: str, tested: Sequence[PairVerdict]) -> None:
        """tested: what `pairs` gives; empty where nothing can be tested."""
        self.comparison, self.metric = comparison, metric
        self.tested = {(one.a, one.b): one for one in [*tested, *map(reverse, tested)]}
        self.contenders = {c.letter: c for c in comparison.contenders}

    def of(self, a: Value, b: Value) -> PairVerdict:
        """A test of the two, unless it contradicts their values: rows are tested over those that were kept, which may be few of many."""
        lead = a.value - b.value
        test = self.tested.get((a.letter, b.letter))
        if test is None:
            return self._untested(a, b)
        right_way = (lead > 0) == (metric_of(self.metric).better == "higher")
        if lead and ((test.ahead and not right_way) or (test.behind and right_way)):
            return self._untested(a, b)
        return test.model_copy(update={"lead": lead})

    def _untested(self, a: Value, b: Value) -> PairVerdict:
        alike = all(self.contenders[one.letter].run_id is not None for one in (a, b)) and same_settings(self.comparison, a.letter, b.letter)
        reason = Reason.SAME_SETTINGS if alike else Reason.UNTESTED
        return PairVerdict(a=a.letter, b=b.letter, metric=self.metric, lead=a.value - b.value, answer=Answer.UNKNOWN, reason=reason)


def reverse(pair: PairVerdict) -> PairVerdict:
    """The same pair, seen from b."""
    low, high = (None if end is None else -end for end in (pair.high, pair.low))
    difference = None if pair.difference is None else -pair.difference
    seen = {"a": pair.b, "b": pair.a, "lead": -pair.lead, "difference": difference, "low": low, "high": high}
    return pair.model_copy(update=seen | {"answer": REVERSED.get(pair.answer, pair.answer)})


def _baselines(comparison: Comparison, key: str, pairs: Pairs, run: Value, values: Sequence[Value]) -> list[BaselineVerdict]:
    """The best run against each baseline that has a value, but for the oracle."""
    by_letter = {one.letter: one for one in values}
    judged = []
    for one in comparison.contenders:
        baseline = one.baseline
        if baseline is None or baseline is Baseline.ORACLE or one.letter not in by_letter:
            continue
        other = by_letter[one.letter]
        shares = metric_of(key).family == "ranking" and other.value != 0  # a share of an AUC says nothing: it starts at 0.5
        relative = (run.value - other.value) / other.value if shares else None
        judged.append(BaselineVerdict(baseline=baseline, value=other.value, pair=pairs.of(run, other), relative=relative))
    return judged


def _best_possible(comparison: Comparison, values: Sequence[Value]) -> float | None:
    oracle = [c.letter for c in comparison.contenders if c.baseline is Baseline.ORACLE]
    return next((one.value for one in values if one.letter in oracle), None)


def _cost(comparison: Comparison, run: str, judged: Sequence[PairVerdict]) -> CostNote | None:
    """The best run's training time against that of the next, or of the fastest of those that it is not clearly ahead of."""
    costs = comparison.costs
    known = set(costs["fact"]) if "fact" in costs else set()
    if not judged or not known & {FIT, TRAINING}:
        return None
    near = [pair.b for pair in judged if not pair.clearly]
    row = costs[costs["fact"] == (FIT if FIT in known else TRAINING)].iloc[0]
    # trying many settings says nothing beside the time of one training
    searched = {one.letter: FIT not in known and one.budget is not None and one.budget.searched for one in comparison.contenders}
    others = [letter for letter in near or [judged[0].b] if searched.get(letter) == searched.get(run)]
    times = {letter: float(row[letter]) for letter in [run, *others] if letter in row and row[letter] is not None}
    times = {letter: seconds for letter, seconds in times.items() if math.isfinite(seconds) and seconds > 0}
    own = times.pop(run, None)
    if own is None or not times:
        return None
    other = min(times, key=times.__getitem__)
    slower, faster = own > CLEARLY * times[other], times[other] > CLEARLY * own
    if not slower and (near or not faster):
        return None
    return CostNote(run=run, other=other, run_s=own, other_s=times[other], of=len(near) + 1 if near else 2, tied=bool(near))
