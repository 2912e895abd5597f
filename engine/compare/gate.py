"""May a candidate take another model's place? A test of non-inferiority, for pipelines that ship without a person.

Two one-sided t tests over the users of both at 5 % each, against the difference that is tolerated (non-inferiority margin: Wellek, "Testing
statistical hypotheses of equivalence and noninferiority", 2nd ed. 2010, chapter 5). What another seed would have done does not count, as
it does in a verdict: the two models that were trained are judged, one of which is shipped, and not two ways to train.
"""

import math
from enum import StrEnum
from typing import NamedTuple
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict
from scipy.special import stdtr, stdtrit

from engine import runs
from engine.compare.backtest import measured_over_time
from engine.compare.comparison import compare
from engine.compare.numbers import count, percent
from engine.compare.paired_tests import ALPHA, POWER, Measured
from engine.compare.significance import measured_by
from engine.runs import Run
from workers.artifacts import metric as metric_of
from workers.evaluation import FEW, Floats, standard_error

EXACT = 1e-12  # a standard error below it is rounding: the two are one model


class Outcome(StrEnum):
    """What a gate says; its exit code is the place among these."""

    NOT_WORSE = "not worse"
    WORSE = "worse"
    UNKNOWN = "cannot be told"

    @property
    def exit_code(self) -> int:
        return list(Outcome).index(self)


class Tested(NamedTuple):
    """A difference against a margin; `difference` is positive where the candidate is better."""

    outcome: Outcome
    difference: float
    low: float  # ends of the 90 % interval, which the two tests at 5 % go by
    high: float
    n: int
    needed: int | None  # users with whom 80 % of such tests would tell; None where no number would


class Gate(BaseModel):
    """The record of a gate: both values, the margin that is tolerated, and what the test of the difference says, in units of the metric."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    candidate: str  # run ids
    against: str
    dataset: str
    metric: str
    tolerance: float  # as a share of the value of `against`; of an area, of its distance from chance
    margin: float
    value: float
    value_against: float
    difference: float  # positive: the candidate is better
    low: float | None  # None with too few users
    high: float | None
    n: int
    unit: str
    needed: int | None
    sentence: str

    def junit(self) -> str:
        """The record as JUnit XML: a test case that passes, fails (worse), or has an error (cannot be told)."""
        suite = ElementTree.Element("testsuite", name="recbench gate", tests="1")
        names = (("failures", Outcome.WORSE), ("errors", Outcome.UNKNOWN), ("skipped", None))
        suite.attrib.update({name: str(int(self.outcome is outcome)) for name, outcome in names})
        case = ElementTree.SubElement(suite, "testcase", classname=self.metric, name=f"{self.candidate} against {self.against}", time="0")
        if self.outcome is not Outcome.NOT_WORSE:
            what = "failure" if self.outcome is Outcome.WORSE else "error"
            ElementTree.SubElement(case, what, message=self.sentence, type=self.outcome.value).text = self.model_dump_json(indent=2)
        ElementTree.SubElement(case, "system-out").text = self.sentence
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def judge_margin(influence: Floats, difference: float, margin: float) -> Tested:
    """Whether a difference is surely above -margin, surely below it, or neither.

    Args:
        influence: [U] of each user on the difference; they add up to its error (see `workers.evaluation.clustered`).
        difference: candidate - other, in whose unit the margin (0 or more) is; positive where the candidate is better.
    """
    users = len(influence)
    if users < FEW:
        return Tested(Outcome.UNKNOWN, difference, math.nan, math.nan, users, FEW)
    error, gap = standard_error(influence), difference + margin
    half = float(stdtrit(users - 1, 1 - ALPHA)) * error
    ends = difference - half, difference + half
    if error < EXACT:
        return Tested(Outcome.NOT_WORSE if gap >= 0 else Outcome.WORSE, difference, *ends, users, users)
    p_worse, p_not_worse = float(stdtr(users - 1, gap / error)), float(stdtr(users - 1, -gap / error))
    outcome = Outcome.NOT_WORSE if p_not_worse < ALPHA else Outcome.WORSE if p_worse < ALPHA else Outcome.UNKNOWN
    quantiles = float(stdtrit(math.inf, 1 - ALPHA) + stdtrit(math.inf, POWER))
    needed = math.ceil(users * (quantiles * error / gap) ** 2) if gap else None
    return Tested(outcome, difference, *ends, users, needed)


def gate(candidate: str, against: str, metric: str = "ndcg_at_10", tolerance: float = 0.01) -> Gate:
    """Judge whether a finished run is worse than another one by more than is tolerated.

    Of two runs of one dataset, what they wrote is read. A run of an older state of the candidate's data is measured over the test of the
    newer one (see `measured_over_time`), which loads its model into this process.

    Args:
        candidate, against: run ids.
        metric: any that can be tested.
        tolerance: 0 to 1, a share of the value of `against`; of an area, of its distance from chance.

    Raises:
        LookupError: no such run. ValueError: the two are not of one dataset, or of an older and a newer state of it, and of one protocol;
            what they wrote is not here; or the metric cannot be tested, and which can.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"The tolerance is {tolerance:g}; give a share from 0 on and below 1, such as 0.01 for 1 %.")
    new, old = runs.get_run(candidate), runs.get_run(against)
    if new.run_id == old.run_id:
        return _same(new.run_id, new.dataset or "", metric, new.metrics.get(metric), tolerance)
    measured = (measured_together if new.dataset == old.dataset else measured_over_time)(new, old, metric)
    known = metric_of(metric)
    if known.better not in ("higher", "lower"):
        raise ValueError(f"{metric} has no better and worse; choose another metric.")
    sign = 1.0 if known.better == "higher" else -1.0
    values = float(measured.values[0]), float(measured.values[1])
    margin = tolerance * abs(values[1] - known.chance)
    tested = judge_margin(sign * (measured.influence[:, 0] - measured.influence[:, 1]), sign * (values[0] - values[1]), margin)
    return _record(new.run_id, old.run_id, new.dataset or "", metric, tolerance, margin, values, tested, measured.unit)


def measured_together(new: Run, old: Run, metric: str) -> Measured:
    """What two runs of one dataset wrote, as `gate` raises."""
    comparison = compare([old.run_id, new.run_id], seeds=False)
    if comparison.apart and {title for title, _ in comparison.apart} & {new.title, old.title}:
        raise ValueError(f"{comparison.apart[0][0]} {comparison.apart[0][1]}; a gate judges two runs of one dataset and protocol.")
    letters = {one.run_id: one.letter for one in comparison.contenders}
    if why := next((comparison.incomplete[letter] for letter in comparison.incomplete), None):
        raise ValueError(f"The two cannot be judged: {why}")
    measured = {key: one for key, one in measured_by(comparison).items() if {letters[new.run_id], letters[old.run_id]} <= set(one.letters)}
    if metric not in measured:
        raise ValueError(f"{metric[:80]} cannot be tested for these runs; choose one of {', '.join(measured) or 'none'}.")
    one = measured[metric]
    both = [list(one.letters).index(letters[run.run_id]) for run in (new, old)]
    return Measured("AB", one.values[both], one.influence[:, both], one.unit)


def _same(run_id: str, dataset: str, metric: str, value: float | None, tolerance: float) -> Gate:
    """A run against itself."""
    if value is None:
        raise ValueError(f"Run {run_id} has no {metric[:80]}.")
    margin = tolerance * abs(value - metric_of(metric).chance)
    return _record(
        run_id, run_id, dataset, metric, tolerance, margin, (value, value), Tested(Outcome.NOT_WORSE, 0.0, 0.0, 0.0, 0, 0), "users"
    )


def _record(
    candidate: str,
    against: str,
    dataset: str,
    metric: str,
    tolerance: float,
    margin: float,
    values: tuple[float, float],
    tested: Tested,
    unit: str,
) -> Gate:
    label = metric_of(metric).label
    span = "" if math.isnan(tested.low) else f" (90 % interval {tested.low:+.4f} to {tested.high:+.4f})"
    said = {
        Outcome.NOT_WORSE: f"Not worse by more than {percent(tolerance)}",
        Outcome.WORSE: f"Worse by more than {percent(tolerance)}",
        Outcome.UNKNOWN: f"Whether it is worse by more than {percent(tolerance)} cannot be told",
    }[tested.outcome]
    more = f" About {count(tested.needed)} {unit} would tell." if tested.outcome is Outcome.UNKNOWN and tested.needed else ""
    over = f", over {count(tested.n)} {unit}" if tested.n else ": it is the same run"
    sentence = f"{said}: {label} {values[0]:.4f} against {values[1]:.4f}, a difference of {tested.difference:+.4f}{span}{over}."
    return Gate(
        outcome=tested.outcome,
        candidate=candidate,
        against=against,
        dataset=dataset,
        metric=metric,
        tolerance=tolerance,
        margin=margin,
        value=values[0],
        value_against=values[1],
        difference=tested.difference,
        low=None if math.isnan(tested.low) else tested.low,
        high=None if math.isnan(tested.high) else tested.high,
        n=tested.n,
        unit=unit,
        needed=tested.needed,
        sentence=sentence + more,
    )
