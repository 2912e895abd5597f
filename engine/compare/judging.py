"""Who is ahead, judged once for a comparison: by paired tests where they exist, otherwise by seeds and intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from engine.compare.contenders import Comparison, competitors
from engine.compare.significance import all_pairs, same_settings
from engine.compare.verdict import (
    Answer,
    Baseline,
    BaselineVerdict,
    CostNote,
    Method,
    MetricVerdict,
    PairVerdict,
    Reason,
    StageVerdict,
    Verdict,
)
from workers.artifacts import metric as metric_of

if TYPE_CHECKING:
    import pandas as pd

STAGES = (
    ("For retrieval", ("ndcg_at_{k}",)),
    ("For ranking", ("auc",)),
    ("For predicting the value", ("rmse",)),
    ("For predicting the class", ("class_log_loss", "accuracy")),
    ("For predicting actions", ("action_auc",)),
    ("For rating sets of items", ("set_rmse",)),
)  # what a model is for, and the metric that says it best: the first that was measured
CLEARLY = 1.5  # times that a cost must differ to be worth a sentence
TRAINING = "Training time"


class Value(NamedTuple):
    """What a contender has by one metric; nan where it has no interval, or one seed."""

    letter: str
    value: float
    low: float
    high: float
    std: float


def verdict_of(comparison: Comparison) -> Verdict:
    """The record of a comparison: what `compare` made, or made now for a comparison that was put together otherwise."""
    return comparison.verdict or judge(comparison)


def judge(comparison: Comparison, tests: "Mapping[str, pd.DataFrame] | None" = None) -> Verdict:
    """Who is ahead by each metric that has a best and was measured.

    Args:
        tests: of each metric that can be tested what `pairs` gives; None: those of the comparison, else they are made.
    """
    known = tests if tests is not None else comparison.tests or all_pairs(comparison)
    keys = [key for key in dict.fromkeys(comparison.table["metric"]) if metric_of(key).crowned]
    judged = {key: found for key in keys if (found := _metric(comparison, key, known.get(key))) is not None}
    stages = []
    for stage, names in STAGES:
        metrics = [name for one in names if (name := one.format(k=comparison.k)) in judged and judged[name].run is not None]
        stages += [StageVerdict(stage=stage, metric=metrics[0])] if metrics else []
    return Verdict(metrics=judged, stages=tuple(stages))


def _metric(comparison: Comparison, key: str, tested: "pd.DataFrame | None") -> MetricVerdict | None:
    """None where nobody has a value."""
    values = _values(comparison, key)
    if not values:
        return None
    pairs = Pairs(comparison, key, tested)
    competing, runs = {c.letter for c in competitors(comparison)}, {c.letter for c in comparison.contenders if c.run_id is not None}
    rivals, of_runs = [one for one in values if one.letter in competing], [one for one in values if one.letter in runs]
    leader = rivals[0].letter if len(rivals) > 1 and rivals[0].value != rivals[1].value else None
    unsure = [other.letter for other in rivals[1:] if not pairs.of(rivals[0], other).ahead] if leader else []
    if not of_runs:
        return MetricVerdict(metric=key, leader=leader, unsure_of=tuple(unsure))
    first, *others = of_runs
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
    )


def _values(comparison: Comparison, key: str) -> list[Value]:
    """Contenders that have a value, best first; equal ones in the order of their letters."""
    table = comparison.table[(comparison.table["metric"] == key) & comparison.table["value"].notna()]
    rows = table.reindex(columns=["contender", "value", "low", "high", "std"]).to_numpy().tolist()
    values = [Value(str(letter), *map(float, numbers)) for letter, *numbers in rows]
    return sorted(values, key=lambda one: one.value if metric_of(key).better == "lower" else -one.value)


class Pairs:
    """Judges any two contenders by one metric."""

    def __init__(self, comparison: Comparison, metric: str, tested: "pd.DataFrame | None") -> None:
        """tested: what `pairs` gives; None where nothing can be tested."""
        self.comparison, self.metric = comparison, metric
        self.tested: dict[tuple[str, str], PairVerdict] = {}
        self.runs = {c.model: c.letter for c in comparison.contenders if c.run_id is not None}
        self.contenders = {c.letter: c for c in comparison.contenders}
        for row in [] if tested is None else tested.to_dict("records"):
            one = PairVerdict(
                a=row["a"],
                b=row["b"],
                metric=metric,
                **{name: _finite(row[name]) for name in ("low", "high", "p", "p_holm")},
                difference=row["difference"],
                n=int(row["n"]),
                unit=row["unit"],
                answer=row["verdict"],
                reason=row["reason"] or None,
                method=Method.TEST,
            )
            self.tested[one.a, one.b], self.tested[one.b, one.a] = one, reverse(one)

    def of(self, a: Value, b: Value) -> PairVerdict:
        """A test of the two, unless it contradicts their values: rows are tested over those that were kept, which may be few of many."""
        test = self.tested.get((a.letter, b.letter)) or self._of_same_run(a.letter, b.letter)
        if test is not None and test.answer in (Answer.NO_DIFFERENCE, self._by_value(a, b)):
            return test
        return self._untested(a, b)

    def _of_same_run(self, a: str, b: str) -> PairVerdict | None:
        """The test of the run that a baseline is, where it is among the runs as well."""
        run = self.runs.get(self.contenders[b].model) if self.contenders[b].run_id is None else None
        test = self.tested.get((a, run)) if run is not None else None
        return None if test is None else test.model_copy(update={"b": b})

    def _by_value(self, a: Value, b: Value) -> Answer:
        if a.value == b.value:
            return Answer.NO_DIFFERENCE
        return Answer.A_BETTER if (a.value < b.value) == (metric_of(self.metric).better == "lower") else Answer.B_BETTER

    def _untested(self, a: Value, b: Value) -> PairVerdict:
        """By what is known of each alone: settings, intervals, seeds; by the values where nothing is known."""
        intervals = all(math.isfinite(end) for end in (a.low, a.high, b.low, b.high))
        spread = max((one.std for one in (a, b) if math.isfinite(one.std)), default=math.nan)
        method = Method.INTERVALS if intervals else Method.SEEDS if math.isfinite(spread) else Method.VALUES
        reason = None
        if self._same_settings(a.letter, b.letter):
            reason, method = Reason.SAME_SETTINGS, Method.SETTINGS
        elif intervals and a.low <= b.high and b.low <= a.high:
            reason = Reason.OVERLAP
        elif abs(a.value - b.value) <= spread:
            reason, method = Reason.SEEDS, Method.SEEDS
        elif a.value == b.value:
            reason, method = Reason.TIE, Method.VALUES
        answer = Answer.NO_DIFFERENCE if reason else self._by_value(a, b)
        names = {"a": a.letter, "b": b.letter, "metric": self.metric}
        return PairVerdict(**names, difference=a.value - b.value, answer=answer, reason=reason, method=method)

    def _same_settings(self, a: str, b: str) -> bool:
        both_runs = all(self.contenders[one].run_id is not None for one in (a, b))
        return both_runs and same_settings(self.comparison, a, b)


def reverse(pair: PairVerdict) -> PairVerdict:
    """The same pair, seen from b."""
    answers = {Answer.A_BETTER: Answer.B_BETTER, Answer.B_BETTER: Answer.A_BETTER}
    low, high = (None if end is None else -end for end in (pair.high, pair.low))
    seen = {"a": pair.b, "b": pair.a, "difference": -pair.difference, "low": low, "high": high}
    return pair.model_copy(update=seen | {"answer": answers.get(pair.answer, pair.answer)})


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


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
    """The best run's training time against that of the next, or of the fastest of those that it is not surely ahead of."""
    costs = comparison.costs
    if not judged or "fact" not in costs or not (costs["fact"] == TRAINING).any():
        return None
    near = [pair.b for pair in judged if not pair.ahead]
    row = costs[costs["fact"] == TRAINING].iloc[0]
    times = {letter: float(row[letter]) for letter in [run, *(near or [judged[0].b])] if letter in row and row[letter] is not None}
    times = {letter: seconds for letter, seconds in times.items() if math.isfinite(seconds) and seconds > 0}
    own = times.pop(run, None)
    if own is None or not times:
        return None
    other = min(times, key=times.__getitem__)
    slower, faster = own > CLEARLY * times[other], times[other] > CLEARLY * own
    if not slower and (near or not faster):
        return None
    return CostNote(run=run, other=other, run_s=own, other_s=times[other], of=len(near) + 1 if near else 2, tied=bool(near))
