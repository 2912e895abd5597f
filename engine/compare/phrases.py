"""A verdict in sentences, for pages, the command line and every export. Names are set apart, so that each writer escapes them its way."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.compare.contenders import Comparison, names
from engine.compare.judging import verdict_of
from engine.compare.numbers import DASH, count, duration, missing, number, percent, signed
from engine.compare.verdict import Baseline, BaselineVerdict, CostNote, Method, MetricVerdict, PairVerdict, Reason
from workers.artifacts import metric as metric_of

LONGEST_NAME = 60


class Part(NamedTuple):
    """A part of a sentence. `name`: it holds a name, which may be any text, and is to be emphasised."""

    text: str
    name: bool = False


Sentence = tuple[Part, ...]


def sentences(comparison: Comparison) -> list[Sentence]:
    """What the verdict says, a paragraph for each stage whose metric was measured."""
    short, lines, costs = names(comparison.contenders), [], list[CostNote]()
    for stage, found in verdict_of(comparison).of_stages():
        name = Part(f"{found.run} {_plain(short[found.run or ''])}", name=True)
        lines.append(_stage(comparison, stage, name, found, found.cost if found.cost not in costs else None))
        costs += [found.cost] if found.cost else []
    return lines


def plain(sentence: Sentence) -> str:
    """A sentence as text without emphasis."""
    return "".join(part.text for part in sentence)


def p_value(p: float | None) -> str:
    """0.034, < 0.001, a dash where there is none."""
    if p is None or missing(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _plain(name: str) -> str:
    line = " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in name).split())
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "…"


def _stage(comparison: Comparison, stage: str, name: Part, found: MetricVerdict, cost: CostNote | None) -> Sentence:
    """Who to take, or how far the best run is ahead of whom; what baselines and costs say of it."""
    before, after = _first(comparison, stage, found)
    popularity, random, mean = (found.against(one) for one in (Baseline.POPULARITY, Baseline.RANDOM, Baseline.USER_MEAN))
    if next(c.model for c in comparison.contenders if c.letter == found.run) == Baseline.POPULARITY.model:
        popular = "No model here does better than recommending what is liked most."
    else:
        popular = _against(found, popularity, "popularity") or _against(found, random, "random")
    rest = [popular, _against(found, mean, "each user's mean"), _won_by_baseline(comparison, found), _best_possible(found)]
    rest += [_cost(cost)] if cost else []
    return Part(before), name, Part(" ".join(part for part in [after, *rest] if part))


def _first(comparison: Comparison, stage: str, found: MetricVerdict) -> tuple[str, str]:
    """The first sentence: before and after the name of the best run."""
    value = f"{metric_of(found.metric).label} {number(found.value)}"
    take = found.winner == found.run
    if not found.runs:
        return (f"{stage} take ", f": {value}.") if take else (f"{stage}, ", f" reaches {value}.")
    second, near = found.runs[0], [pair for pair in found.runs if not pair.ahead]
    behind = [pair.p_holm for pair in found.runs if pair.ahead and pair.method is Method.TEST and pair.p_holm is not None]
    if near:
        rest = f" All others are behind ({_p(max(behind))})." if behind and len(behind) + len(near) == len(found.runs) else ""
        leads = "is ahead with" if second.lead else "reaches"
        return f"{stage}, ", f" {leads} {value}, but {', and '.join(_noise(near))}.{rest}"
    sure = {Method.TEST: f" ({_p(second.p_holm)}, {_n(second)})", Method.VALUES: " (no interval to judge this by)"}.get(second.method, "")
    if second.method is Method.SEEDS:
        sure = " (more than seeds are from each other)"
    rest = f" All others are behind, too ({_p(max(behind))})." if len(behind) == len(found.runs) > 1 else ""
    gap = f"{_ahead(second)}{sure}.{rest}"
    return (f"{stage} take ", f": {value}, {gap}") if take else (f"{stage}, ", f" is ahead with {value}, {gap}")


def _noise(near: Sequence[PairVerdict]) -> list[str]:
    """Why a lead over somebody is no more than noise."""

    def of(reason: Reason) -> list[PairVerdict]:
        return [pair for pair in near if pair.reason is reason]

    chance = [f"{pair.b} ({_p(pair.p_holm)})" for pair in of(Reason.CHANCE)]
    overlap, seeds, alike, ties = ([pair.b for pair in of(one)] for one in (Reason.OVERLAP, Reason.SEEDS, Reason.SAME_SETTINGS, Reason.TIE))
    parts = [f"inside the noise of {_listed(chance)}"] if chance else []
    parts += [f"inside the noise of {_listed(overlap)}: intervals overlap"] if overlap else []
    parts += [f"no further from {_listed(seeds)} than seeds are from each other"] if seeds else []
    parts += [f"differs from {_listed(alike)} in its seed alone"] if alike else []
    parts += [f"{_listed(ties)} {'has' if len(ties) == 1 else 'have'} the same value"] if ties else []
    return parts


def _p(p: float | None) -> str:
    shown = p_value(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _n(pair: PairVerdict) -> str:
    return f"{count(pair.n)} test {pair.unit}"


def _ahead(pair: PairVerdict) -> str:
    """How far the best is from the next, in the direction that is better."""
    if metric_of(pair.metric).better == "higher":
        return f"{signed(pair.lead)} over {pair.b}"
    return f"{number(abs(pair.lead))} below {pair.b}"


def _against(found: MetricVerdict, baseline: BaselineVerdict | None, name: str) -> str:
    """How far the best run is from a baseline; empty where that has no value, or 0."""
    if baseline is None or baseline.value == 0 or found.value is None:
        return ""
    gap, pair = found.value - baseline.value, baseline.pair
    lower = metric_of(found.metric).better == "lower"
    judged = "" if not lower or gap == 0 else ", which is worse" if gap > 0 else ", which is better"
    apart = number(abs(gap)) if baseline.relative is None else percent(abs(baseline.relative))
    text = f"That is {apart} {'above' if gap >= 0 else 'below'} {name} ({number(baseline.value)}){judged}"
    if pair.reason is Reason.CHANCE:
        return f"{text}, inside the noise ({_p(pair.p_holm)})."
    if pair.reason is Reason.OVERLAP:
        return f"{text}, inside the noise: the intervals overlap."
    if pair.reason is Reason.SEEDS:
        return f"{text}, no further than seeds are from each other."
    if pair.method is Method.TEST:
        return f"{text}, {_p(pair.p_holm)}."
    return f"{text}, and the intervals are apart." if pair.method is Method.INTERVALS else f"{text}."


def _won_by_baseline(comparison: Comparison, found: MetricVerdict) -> str:
    """That a baseline is the winner; empty where it is not."""
    winner = next((c for c in comparison.contenders if c.letter == found.winner and c.run_id is None), None)
    return "" if winner is None else f"{winner.name} is better than every run."


def _best_possible(found: MetricVerdict) -> str:
    """What nothing can beat, where the law that made the data is known."""
    if found.best_possible is None:
        return ""
    return f"The best possible {metric_of(found.metric).label} here is {number(found.best_possible)}."


def _cost(cost: CostNote) -> str:
    """What a clear lead costs against the next contender, or which of several without a clear difference trains fastest."""
    own, other = duration(cost.run_s), duration(cost.other_s)
    if cost.tied:
        who, how = ("the two", "faster") if cost.of == 2 else ("these", "fastest")
        return f"Of {who}, {cost.other} trains {how}: {other} against {own}."
    ratio = cost.run_s / cost.other_s
    if ratio > 1:
        return f"It takes {number(ratio, 0 if ratio >= 10 else 1)} times the training time of {cost.other}: {own} against {other}."
    return f"It also trains faster: {own} against {other} for {cost.other}."


def _listed(letters: Sequence[str]) -> str:
    return letters[0] if len(letters) == 1 else ", ".join(letters[:-1]) + " and " + letters[-1]
