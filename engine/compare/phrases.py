"""A verdict in sentences, for pages, the command line and every export. Names are set apart, so that each writer escapes them its way."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.compare.budgets import gap_sentence, unequal_data
from engine.compare.contenders import Comparison, names
from engine.compare.judging import verdict_of
from engine.compare.numbers import DASH, count, duration, missing, number, percent, rough, signed_with_half, with_half
from engine.compare.verdict import Answer, Baseline, BaselineVerdict, CostNote, Flip, MetricVerdict, PairVerdict, Reason, Verdict
from workers.artifacts import metric as metric_of
from workers.specs import TARGETS

LONGEST_NAME = 60
SINGLY = 2  # contenders whose p is said one by one


class Part(NamedTuple):
    """A part of a sentence. `name`: it holds a name, which may be any text, and is to be emphasised."""

    text: str
    name: bool = False


Sentence = tuple[Part, ...]


def sentences(comparison: Comparison) -> list[Sentence]:
    """What the verdict says: a paragraph for each stage whose metric was measured, and one each about seeds and unequal budgets, if any."""
    short, lines, costs = names(comparison.contenders), [], list[CostNote]()
    verdict = verdict_of(comparison)
    for stage, judged in verdict.of_stages():
        name = Part(f"{judged.run} {plain_name(short[judged.run or ''])}", name=True)
        lines.append(_stage(comparison, stage, name, judged, judged.cost if judged.cost not in costs else None))
        costs += [judged.cost] if judged.cost else []
    lines += [_flip(flip, comparison, short) for flip in verdict.flips]
    bests = [judged.run for _, judged in verdict.of_stages() if judged.run]
    more = [
        unequal_data(verdict.unequal_shares, bests),
        seed_sentence(verdict),
        gap_sentence(verdict.budgets, verdict.unequal_budgets, bests),
    ]
    return [*lines, *((Part(text),) for text in more if text)]


def _flip(flip: Flip, comparison: Comparison, short: Mapping[str, str]) -> Sentence:
    """Who leads when another question is asked."""
    name = Part(f"{flip.leader} {plain_name(short[flip.leader])}", name=True)
    values = f"NDCG@{comparison.k} {number(flip.value)} against {number(flip.usual_value)} of {flip.usual}"
    return (
        Part(f"The question decides: asked for {TARGETS[flip.target]} instead of {TARGETS[comparison.target]}, "),
        name,
        Part(f" leads, {values}."),
    )


PAIR_REASONS = {
    Reason.CHANCE: "cannot be told",
    Reason.SEEDS: "cannot be told: another seed may change it by as much",
    Reason.SAME_SETTINGS: "the two differ in their seed alone",
    Reason.FEW_USERS: "cannot be told: too few users",
    Reason.UNTESTED: "not tested",
}


def pair_answer(pair: PairVerdict, comparison: Comparison) -> str:
    """The answer of a pair in a few words; a contender is named by its letter, a baseline by its name."""
    if pair.answer is Answer.UNKNOWN:
        return PAIR_REASONS[pair.reason or Reason.CHANCE]
    if pair.answer is Answer.SAME:
        return "the same for your purpose"
    better = pair.a if pair.ahead else pair.b
    who = next(c.letter if c.run_id else c.name for c in comparison.contenders if c.letter == better)
    return f"{who} is better{', by less than matters' if pair.answer in (Answer.A_SLIGHTLY, Answer.B_SLIGHTLY) else ''}"


def pair_difference(pair: PairVerdict) -> str:
    """+0.012 ± 0.004; a dash where there is no test."""
    return DASH if pair.difference is None else signed_with_half(pair.difference, half(pair))


def pair_needed(pair: PairVerdict) -> str:
    """How many users would tell; a dash for what has been told."""
    if pair.reason not in (Reason.CHANCE, Reason.SEEDS):
        return DASH
    return "more seeds" if pair.needed is None else f"about {rough(pair.needed)}"


def plain(sentence: Sentence) -> str:
    """A sentence as text without emphasis."""
    return "".join(part.text for part in sentence)


def p_value(p: float | None) -> str:
    """0.034, < 0.001, a dash where there is none."""
    if p is None or missing(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def plain_name(name: str) -> str:
    """A name, which may be any text, as one line of at most LONGEST_NAME characters."""
    line = " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in name).split())
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "…"


def _stage(comparison: Comparison, stage: str, name: Part, judged: MetricVerdict, cost: CostNote | None) -> Sentence:
    """Who to take, or how far the best run is from whom; what baselines and costs say of it."""
    before, after = _first(stage, judged, comparison.threshold)
    popularity, random, mean = (judged.against(one) for one in (Baseline.POPULARITY, Baseline.RANDOM, Baseline.USER_MEAN))
    if next(c.model for c in comparison.contenders if c.letter == judged.run) == Baseline.POPULARITY.model:
        popular = "No model here does better than recommending what is liked most." if judged.runs else ""
    elif any(c.model == Baseline.POPULARITY.model and c.run_id is not None for c in comparison.contenders):
        popular = ""  # it is among the runs that the first sentence is about
    else:
        popular = _against(judged, popularity, "popularity") or _against(judged, random, "a random order")
    rest = [popular, _against(judged, mean, "each user's mean"), _best_possible(judged)]
    rest += [_cost(cost)] if cost else []
    return Part(before), name, Part(" ".join(part for part in [after, *rest] if part))


def _first(stage: str, judged: MetricVerdict, threshold: float) -> tuple[str, str]:
    """The first sentences: before and after the name of the best run."""
    label, value = metric_of(judged.metric).label, number(judged.value)
    take = judged.winner == judged.run
    if not judged.runs:
        return (f"{stage} take ", f": {label} {value}.") if take else (f"{stage}, ", f" reaches {label} {value}.")
    better = [pair for pair in judged.runs if pair.clearly]
    others = [pair for pair in judged.runs if not pair.clearly]
    if not others:
        gap = f"{value}, {_gap(better[0])}.{_all_behind(better[1:], ' Further behind: ')}"
        return (f"{stage} take ", f": {label} {gap}") if take else (f"{stage}, ", f" is the best run with {label} {gap}")
    highest = "the highest" if metric_of(judged.metric).better == "higher" else "the lowest"
    rest = _all_behind(better, " Behind it: ")
    return f"{stage}, ", f" has {highest} {label}, {value}, but {', and '.join(_unclear(others, threshold))}.{rest}"


def _gap(pair: PairVerdict) -> str:
    """How far the best is from another in the direction that is better, and how sure that is."""
    where = "above" if metric_of(pair.metric).better == "higher" else "below"
    return f"{_size(pair)} {where} {pair.b} ({_p(pair.p_holm)}, {count(pair.n)} test {pair.unit})"


def _size(pair: PairVerdict) -> str:
    """A difference without its sign, and half of its interval."""
    return with_half(abs(pair.difference or 0.0), half(pair))


def half(pair: PairVerdict) -> float | None:
    """Half of the 95 % interval of a difference."""
    return None if pair.low is None or pair.high is None else (pair.high - pair.low) / 2


def _all_behind(pairs: Sequence[PairVerdict], start: str) -> str:
    known = [pair.p_holm for pair in pairs if pair.p_holm is not None]
    return f"{start}{_listed([pair.b for pair in pairs])} ({_p(max(known))})." if pairs and known else ""


def _unclear(pairs: Sequence[PairVerdict], threshold: float) -> list[str]:
    """Why the best run is not simply better than these."""

    def of(answer: Answer, reason: Reason | None = None) -> list[PairVerdict]:
        return [pair for pair in pairs if pair.answer is answer and pair.reason is reason]

    by_chance = of(Answer.UNKNOWN, Reason.CHANCE)
    chance = [f"{pair.b} ({_p(pair.p_holm)}{_would_tell(pair)})" for pair in by_chance]
    if len(chance) > SINGLY:
        chance = [f"{_listed([pair.b for pair in by_chance])} ({_would_tell_all(by_chance)})"]
    slightly = [f"{pair.b} ({_size(pair)})" for pair in of(Answer.A_SLIGHTLY)]
    letters = {reason: _listed([pair.b for pair in some]) for reason in Reason if (some := of(Answer.UNKNOWN, reason))}
    parts = [f"it cannot be told from {_listed(chance)}"] if chance else []
    parts += [f"it is better than {_listed(slightly)} by less than the {percent(threshold)} that matters"] if slightly else []
    same = [f"{pair.b} ({_p(pair.p_same)})" for pair in of(Answer.SAME)]
    parts += [f"it is the same as {_listed(same)} to within the {percent(threshold)} that matters"] if same else []
    said = {
        Reason.SEEDS: "another seed may change its place against {}: more seeds would tell",
        Reason.SAME_SETTINGS: "it differs from {} in its seed alone",
        Reason.FEW_USERS: "the test users are too few to compare it with {}",
        Reason.UNTESTED: "it was not tested against {}, whose results by user are not here",
    }
    parts += [text.format(letters[reason]) for reason, text in said.items() if reason in letters]
    behind = [pair.b for pair in pairs if pair.behind]
    return parts + ([f"{_listed(behind)} is ahead over the users that both have"] if behind else [])


def _would_tell(pair: PairVerdict) -> str:
    """How many users would tell; that no number would, where what seeds do is in the way."""
    if pair.needed is None:
        return "; more seeds, not more users, would tell" if pair.difference else ""
    return f"; about {rough(pair.needed)} test {pair.unit} would tell"


def _would_tell_all(pairs: Sequence[PairVerdict]) -> str:
    """The same of many pairs: the least and the greatest numbers."""
    least = min(pair.p_holm for pair in pairs if pair.p_holm is not None)
    shown, needed = f"{_p(least)}{' or more' if least < 0.995 else ''}", [pair.needed for pair in pairs if pair.needed is not None]
    if not needed:
        return f"{shown}{_would_tell(pairs[0])}"
    few, many = rough(min(needed)), rough(max(needed))
    users = f"; about {few if few == many else f'{few} to {many}'} test {pairs[0].unit} would tell"
    return f"{shown}{users}{', for some only more seeds' if len(needed) < len(pairs) else ''}"


def _p(p: float | None) -> str:
    shown = p_value(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _against(judged: MetricVerdict, baseline: BaselineVerdict | None, name: str) -> str:
    """How the best run does against a baseline; empty where that has no value, or 0."""
    if baseline is None or baseline.value == 0 or judged.value is None:
        return ""
    pair, has = baseline.pair, f"{name[0].upper()}{name[1:]} has {number(baseline.value)}"
    if pair.behind:
        return f"{has}, which is better ({_p(pair.p_holm)}): no run here does better than {name}."
    if pair.answer is Answer.SAME:
        return f"{has}: the same to within what matters ({_p(pair.p_same)})."
    if pair.reason is Reason.CHANCE:
        return f"{has}: the two cannot be told apart ({_p(pair.p_holm)}{_would_tell(pair)})."
    if pair.reason is Reason.SEEDS:
        return f"{has}: another seed may change that order."
    if not pair.ahead:
        return f"{has}; a difference was not tested."
    where = "above" if metric_of(judged.metric).better == "higher" else "below"
    size = _size(pair) if baseline.relative is None else percent(abs(baseline.relative))
    little = ", which is less than matters" if pair.answer is Answer.A_SLIGHTLY else ""
    return f"That is {size} {where} {name} ({number(baseline.value)}), {_p(pair.p_holm)}{little}."


def _best_possible(judged: MetricVerdict) -> str:
    """What nothing can beat, where the law that made the data is known."""
    if judged.best_possible is None:
        return ""
    return f"The best possible {metric_of(judged.metric).label} here is {number(judged.best_possible)}."


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


SOURCES = {
    "its kind": "from what was repeated of the same kind of model on this dataset",
    "its stage": "from what was repeated of models for the same stage on this dataset",
    "this dataset": "from what was repeated on this dataset",
    "stated": "an assumption, for nothing was repeated on this dataset",
}


def seed_sentence(verdict: Verdict) -> str:
    """Whose values rest on one seed, and what is allowed for it; empty where nothing does."""
    letters = sorted({letter for _, judged in verdict.of_stages() for letter in judged.one_seed if judged.runs})
    if not letters:
        return ""
    sources = {allowed.source for _, judged in verdict.of_stages() for letter in judged.one_seed if (allowed := judged.allowances[letter])}
    worst = next(source for source in ("stated", "this dataset", "its stage", "its kind") if source in sources)
    each = " each" if len(letters) > 1 else ""
    verb = "was" if len(letters) == 1 else "were"
    return (
        f"{_listed(letters)} {verb} trained with one seed{each}. What another seed may change is counted ({SOURCES[worst]}); repeat over "
        "3 seeds to be sure."
    )


def _listed(letters: Sequence[str]) -> str:
    return letters[0] if len(letters) == 1 else ", ".join(letters[:-1]) + " and " + letters[-1]
