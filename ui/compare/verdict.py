"""The sentences above a comparison: what the numbers say and no more."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

import engine
from ui.compare import contenders
from ui.compare.pairs import p_value
from ui.shared import words

STAGES = (
    ("For retrieval", ("ndcg_at_10",)),
    ("For ranking", ("auc",)),
    ("For predicting the value", ("rmse",)),
    ("For predicting the class", ("class_log_loss", "accuracy")),
    ("For predicting actions", ("action_auc",)),
    ("For rating sets of items", ("set_rmse",)),
)  # what a model is for, and the metric that says it best: the first that was measured
CLEARLY = 1.5  # times that a cost must differ to be worth a word
Tests = Callable[[Any, str], pd.DataFrame]


class Pair(NamedTuple):
    """What a paired test says of the leader and one other; p is corrected."""

    ahead: bool
    p: float
    n: int
    reason: str


def sentences(comparison: Any, tests: Tests | None = None) -> list[str]:
    """Markdown: a sentence for each stage whose metric was measured.

    Contenders are told apart by paired tests and by seeds; by their intervals where there is no test. Names are escaped here; letters and
    labels are ours.

    Args:
        tests: gives what `engine.pairs` gives, of a comparison and a metric.
    """
    said: list[str] = []
    for stage, metrics in STAGES:
        found = (_stage_sentence(comparison, metric, stage, tests, said) for metric in metrics)
        said.append(next((sentence for sentence in found if sentence), ""))
    return [sentence for sentence in said if sentence]


def _stage_sentence(comparison: Any, metric: str, stage: str, tests: Tests | None, said: list[str]) -> str:
    measured = _measured(comparison, metric)
    letters = [c.letter for c in comparison.contenders if c.run_id is not None]
    runs, baselines = measured[measured["contender"].isin(letters)], measured[~measured["contender"].isin(letters)]
    if runs.empty:
        return ""
    label, first = engine.specs.metric(metric).label, runs.iloc[0]
    leader = next(c for c in comparison.contenders if c.letter == first["contender"])
    tested = _tested(comparison, metric, leader.letter, tests)
    # rows are tested over those that were kept: of many millions these may have another leader, and then say nothing of this one
    tested = {other: pair for other, pair in tested.items() if pair.ahead or pair.reason or other not in letters}
    name = words.md(contenders.names(comparison.contenders)[leader.letter], 60)
    worth = leader.model == "popularity" or _beats(first, baselines, "pop", tested)
    told = _told(stage, f"**{leader.letter} {name}**", f"{label} {words.number(first['value'])}", runs, tested, worth)
    cost = _cost(comparison, runs, tested)
    if leader.model == "popularity":
        popular = "Nothing here is better than what is liked most."
    else:
        popular = _against(first, baselines, "pop", "popularity", tested) or _against(first, baselines, "rnd", "random", tested)
    found = [told, popular, _against(first, baselines, "mean", "each user's mean", tested), _best(baselines, label)]
    found += [cost] if not any(cost in other for other in said) else []
    return " ".join(sentence for sentence in found if sentence)


def _tested(comparison: Any, metric: str, leader: str, tests: Tests | None) -> dict[str, Pair]:
    """What tests say of the leader and each other: by letter; a baseline that is a run as well has what that run has."""
    if tests is None:
        return {}
    found = {}
    for row in tests(comparison, metric).to_dict("records"):
        if leader in (row["a"], row["b"]):
            ahead = row["verdict"] == ("a better" if row["a"] == leader else "b better")
            found[row["b"] if row["a"] == leader else row["a"]] = Pair(ahead, row["p_holm"], int(row["n"]), row["reason"])
    models = {c.model: c.letter for c in comparison.contenders if c.run_id is not None}
    twins = {c.letter: found[models[c.model]] for c in comparison.contenders if c.run_id is None and models.get(c.model) in found}
    return twins | found


def _told(stage: str, leader: str, value: str, runs: pd.DataFrame, tested: dict[str, Pair], worth: bool) -> str:
    """Who to take, or who is ahead of whom by no more than noise. worth: whether the leader is worth its training at all."""
    first, others = runs.iloc[0], [row for _, row in runs.iloc[1:].iterrows()]
    if not others:
        return f"{stage} take {leader}: {value}." if worth else f"{stage}, {leader} reaches {value}."
    noise, near = _noise(first, others, tested)
    behind = [tested[row["contender"]].p for row in others if row["contender"] in tested and row["contender"] not in near]
    if not noise:
        second = tested.get(others[0]["contender"])
        judged = _known(first) and _known(others[0])
        sure = f" ({_p(second.p)}, {_n(first, second)})" if second else "" if judged else " (no interval to judge this by)"
        rest = f" All others are behind, too ({_p(max(behind))})." if second and len(behind) == len(others) > 1 else ""
        advice = f"{stage} take {leader}: {value}" if worth else f"{stage}, {leader} is ahead with {value}"
        return f"{advice}, {_ahead(first, others[0])}{sure}.{rest}"
    rest = f" All others are behind ({_p(max(behind))})." if behind and len(behind) + len(near) == len(others) else ""
    leads = "is ahead with" if first["value"] != others[0]["value"] else "reaches"
    return f"{stage}, {leader} {leads} {value}, but {', and '.join(noise)}.{rest}"


def _noise(first: pd.Series, others: list[pd.Series], tested: dict[str, Pair]) -> tuple[list[str], list[str]]:
    """Why a lead over somebody is no more than noise, in words; and the letters of those."""
    chance, overlap, seeds, alike = [], [], [], []
    for row in others:
        letter, pair = row["contender"], tested.get(row["contender"])
        if pair is None:
            overlap += [letter] if _overlap(first, row) else []
            seeds += [letter] if not _overlap(first, row) and _within_seeds(first, row) else []
        elif pair.reason == "same settings":
            alike.append(letter)
        elif pair.reason == "seeds":
            seeds.append(letter)
        elif not pair.ahead:
            chance.append(letter)
    said = [f"inside the noise of {_listed([f'{one} ({_p(tested[one].p)})' for one in chance])}"] if chance else []
    said += [f"inside the noise of {_listed(overlap)}: intervals overlap"] if overlap else []
    said += [f"no further from {_listed(seeds)} than seeds are from each other"] if seeds else []
    said += [f"only the seed tells it from {_listed(alike)}"] if alike else []
    return said, [*chance, *overlap, *seeds, *alike]


def _p(p: float) -> str:
    shown = p_value(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _n(first: pd.Series, pair: Pair) -> str:
    return f"{words.count(pair.n)} {'test rows' if first['metric'] == 'auc' else 'test users'}"


def _cost(comparison: Any, runs: pd.DataFrame, tested: dict[str, Pair]) -> str:
    """What a clear lead costs against the next, or which of those that cannot be told apart is trained fastest; empty where it is alike."""
    costs = comparison.costs.set_index("fact") if "fact" in comparison.costs else pd.DataFrame()
    others = [row for _, row in runs.iloc[1:].iterrows()]
    leader, near = runs.iloc[0]["contender"], _noise(runs.iloc[0], others, tested)[1]
    if not others or "Training time" not in costs.index:
        return ""
    rivals = near or [others[0]["contender"]]
    times = pd.to_numeric(costs.loc["Training time"].reindex([leader, *rivals]), errors="coerce")
    own, least = float(times[leader]), float(times[rivals].min())
    if words.missing(own) or words.missing(least) or min(own, least) <= 0:
        return ""
    fastest = times[rivals].idxmin()
    if near:
        return (
            f"Of these {fastest} is trained fastest: {words.duration(least)} against {words.duration(own)}."
            if own > CLEARLY * least
            else ""
        )
    if own > CLEARLY * least:
        return f"It takes {_times(own / least)} the training time of {fastest}: {words.duration(own)} against {words.duration(least)}."
    return (
        f"It is trained faster, too: {words.duration(own)} against {words.duration(least)} of {fastest}." if least > CLEARLY * own else ""
    )


def _times(ratio: float) -> str:
    return f"{words.number(ratio, 0 if ratio >= 10 else 1)} times"


def _within_seeds(first: pd.Series, other: pd.Series) -> bool:
    """Whether a lead is no greater than the spread between seeds, where runs were repeated with other seeds."""
    spread = pd.Series([first.get("std"), other.get("std")], dtype=float).max()
    return bool(pd.notna(spread) and abs(first["value"] - other["value"]) <= spread)


def _ahead(first: pd.Series, second: pd.Series) -> str:
    """How far the best is from the next, in the direction that is better."""
    gap = first["value"] - second["value"]
    if gap == 0:
        return f"like {second['contender']}"
    if engine.specs.metric(str(first["metric"])).better == "higher":
        return f"{words.signed(gap)} over {second['contender']}"
    return f"{words.number(abs(gap))} below {second['contender']}"


def _best(rivals: pd.DataFrame, label: str) -> str:
    """What nothing can beat, where the law that made the data is known."""
    found = rivals[rivals["contender"] == "best"]
    return "" if found.empty else f"The best possible {label} here is {words.number(found.iloc[0]['value'])}."


def _against(first: pd.Series, rivals: pd.DataFrame, letter: str, name: str, tested: dict[str, Pair]) -> str:
    """How the best run stands to one baseline; empty where that has no value."""
    found = rivals[rivals["contender"] == letter]
    if found.empty or found.iloc[0]["value"] == 0:
        return ""
    baseline = found.iloc[0]
    gap = first["value"] - baseline["value"]
    relative = engine.specs.metric(str(first["metric"])).family == "ranking"  # a share of an AUC says nothing: it starts at 0.5
    lower = engine.specs.metric(str(first["metric"])).better == "lower"
    judged = "" if not lower or gap == 0 else ", which is worse" if gap > 0 else ", which is better"
    apart = words.percent(abs(gap) / baseline["value"]) if relative else words.number(abs(gap))
    against = f"{apart} {'above' if gap >= 0 else 'below'} {name} ({words.number(baseline['value'])}){judged}"
    if letter in tested:
        return f"That is {against}{_sure(tested[letter])}."
    if not (_known(first) and _known(baseline)):
        return f"That is {against}."
    if _overlap(first, baseline):
        return f"That is {against}, inside the noise: the intervals overlap."
    return f"That is {against}, and the intervals are apart."


def _beats(first: pd.Series, rivals: pd.DataFrame, letter: str, tested: dict[str, Pair]) -> bool:
    """Whether the best run is better than a baseline by more than chance; where that was not measured, nothing speaks against it."""
    found = rivals[rivals["contender"] == letter]
    if found.empty:
        return True
    gap = first["value"] - found.iloc[0]["value"]
    better = gap > 0 if engine.specs.metric(str(first["metric"])).better == "higher" else gap < 0
    return bool(better and (tested[letter].ahead if letter in tested else not _overlap(first, found.iloc[0])))


def _sure(pair: Pair) -> str:
    """The end of a sentence on a gap to a baseline, above or below it."""
    if pair.reason == "chance":
        return f", inside the noise ({_p(pair.p)})"
    return ", no further than seeds are from each other" if pair.reason else f", {_p(pair.p)}"


def _measured(comparison: Any, metric: str) -> pd.DataFrame:
    """Rows of one metric that have a value, best first."""
    table = comparison.table
    rows = table[(table["metric"] == metric) & table["value"].notna()]
    return rows.sort_values("value", ascending=engine.specs.metric(metric).better == "lower", kind="stable")


def _known(row: pd.Series) -> bool:
    return bool(pd.notna(row["low"]) and pd.notna(row["high"]))


def _overlap(one: pd.Series, other: pd.Series) -> bool:
    """Whether two intervals share a value; rows without an interval are never called noise."""
    return _known(one) and _known(other) and bool(one["low"] <= other["high"] and other["low"] <= one["high"])


def _listed(letters: list[str]) -> str:
    return letters[0] if len(letters) == 1 else ", ".join(letters[:-1]) + " and " + letters[-1]
