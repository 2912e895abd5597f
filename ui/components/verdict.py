"""The sentences above a comparison: what the numbers say and no more."""

from typing import Any

import pandas as pd

import engine
from ui.components import contenders, words

STAGES = (
    ("For retrieval", ("ndcg_at_10",)),
    ("For ranking", ("auc",)),
    ("For predicting the value", ("rmse",)),
    ("For predicting the class", ("class_log_loss", "accuracy")),
    ("For predicting actions", ("action_auc",)),
    ("For rating sets of items", ("set_rmse",)),
)  # what a model is for, and the metric that says it best: the first that was measured


def sentences(comparison: Any) -> list[str]:
    """Markdown: a sentence for each stage whose metric was measured. Contenders are told apart only when intervals and seeds do.

    Names are escaped here; letters and labels are ours.
    """
    said = []
    for stage, metrics in STAGES:
        found = (_stage_sentence(comparison, metric, stage) for metric in metrics)
        said.append(next((sentence for sentence in found if sentence), ""))
    return [sentence for sentence in said if sentence]


def _stage_sentence(comparison: Any, metric: str, stage: str) -> str:
    measured = _measured(comparison, metric)
    letters = [c.letter for c in comparison.contenders if c.run_id is not None]
    runs, baselines = measured[measured["contender"].isin(letters)], measured[~measured["contender"].isin(letters)]
    if runs.empty:
        return ""
    label, first = engine.METRICS[metric].label, runs.iloc[0]
    leader = next(c for c in comparison.contenders if c.letter == first["contender"])
    name = words.md(contenders.names(comparison.contenders)[leader.letter], 60)
    told = _told(stage, f"**{leader.letter} {name}**", f"{label} {words.number(first['value'])}", runs)
    if leader.model == "popularity":
        popular = "Nothing here is better than what is liked most."
    else:
        popular = _against(first, baselines, "pop", "popularity") or _against(first, baselines, "rnd", "random")
    found = [told, popular, _against(first, baselines, "mean", "each user's mean"), _best(baselines, label)]
    return " ".join(sentence for sentence in found if sentence)


def _told(stage: str, leader: str, value: str, runs: pd.DataFrame) -> str:
    """Who to take, or who is ahead of whom by no more than noise."""
    first, others = runs.iloc[0], [row for _, row in runs.iloc[1:].iterrows()]
    near = [row["contender"] for row in others if _overlap(first, row)]
    seeds = [row["contender"] for row in others if row["contender"] not in near and _within_seeds(first, row)]
    if not near and not seeds:
        if not others:
            return f"{stage} take {leader}: {value}."
        judged = _known(first) and _known(others[0])
        return f"{stage} take {leader}: {value}, {_ahead(first, others[0])}{'' if judged else ' (no interval to judge this by)'}."
    noise = [f"inside the noise of {_listed(near)}: intervals overlap"] if near else []
    noise += [f"no further from {_listed(seeds)} than seeds are from each other"] if seeds else []
    return f"{stage}, {leader} is ahead with {value}, but {', and '.join(noise)}."


def _within_seeds(first: pd.Series, other: pd.Series) -> bool:
    """Whether a lead is no greater than the spread between seeds, where runs were repeated with other seeds."""
    spread = pd.Series([first.get("std"), other.get("std")], dtype=float).max()
    return bool(pd.notna(spread) and abs(first["value"] - other["value"]) <= spread)


def _ahead(first: pd.Series, second: pd.Series) -> str:
    """How far the best is from the next, in the direction that is better."""
    gap = first["value"] - second["value"]
    if gap == 0:
        return f"like {second['contender']}"
    if engine.METRICS[str(first["metric"])].better == "higher":
        return f"{words.signed(gap)} over {second['contender']}"
    return f"{words.number(abs(gap))} below {second['contender']}"


def _best(rivals: pd.DataFrame, label: str) -> str:
    """What nothing can beat, where the law that made the data is known."""
    found = rivals[rivals["contender"] == "best"]
    return "" if found.empty else f"The best possible {label} here is {words.number(found.iloc[0]['value'])}."


def _against(first: pd.Series, rivals: pd.DataFrame, letter: str, name: str) -> str:
    """How the best run stands to one baseline; empty where that has no value."""
    found = rivals[rivals["contender"] == letter]
    if found.empty or found.iloc[0]["value"] == 0:
        return ""
    baseline = found.iloc[0]
    gap = first["value"] - baseline["value"]
    relative = engine.METRICS[str(first["metric"])].family == "ranking"  # a share of an AUC says nothing: it starts at 0.5
    lower = engine.METRICS[str(first["metric"])].better == "lower"
    judged = "" if not lower or gap == 0 else ", which is worse" if gap > 0 else ", which is better"
    apart = words.percent(abs(gap) / baseline["value"]) if relative else words.number(abs(gap))
    against = f"{apart} {'above' if gap >= 0 else 'below'} {name} ({words.number(baseline['value'])}){judged}"
    if not (_known(first) and _known(baseline)):
        return f"That is {against}."
    if _overlap(first, baseline):
        return f"That is {against}, inside the noise: the intervals overlap."
    return f"That is {against}, and the intervals are apart."


def _measured(comparison: Any, metric: str) -> pd.DataFrame:
    """Rows of one metric that have a value, best first."""
    table = comparison.table
    rows = table[(table["metric"] == metric) & table["value"].notna()]
    return rows.sort_values("value", ascending=engine.METRICS[metric].better == "lower", kind="stable")


def _known(row: pd.Series) -> bool:
    return bool(pd.notna(row["low"]) and pd.notna(row["high"]))


def _overlap(one: pd.Series, other: pd.Series) -> bool:
    """Whether two intervals share a value; rows without an interval are never called noise."""
    return _known(one) and _known(other) and bool(one["low"] <= other["high"] and other["low"] <= one["high"])


def _listed(letters: list[str]) -> str:
    return letters[0] if len(letters) == 1 else ", ".join(letters[:-1]) + " and " + letters[-1]
