"""The sentences above a comparison: what the numbers say and no more."""

from typing import Any

import pandas as pd

import engine
from ui.components import words

BASELINE_LETTERS = ("pop", "rnd", "mean", "best")  # popularity, random, a user's mean, the best possible


def sentences(comparison: Any) -> list[str]:
    """Markdown: one sentence for retrieval, one for ranking, one for sets. Contenders are told apart only when their intervals are.

    Names are escaped here; letters and labels are ours.
    """
    stages = {"ndcg_at_10": "For retrieval", "auc": "For ranking", "set_rmse": "For rating sets of items"}
    said = [_stage_sentence(comparison, metric, stage) for metric, stage in stages.items()]
    return [sentence for sentence in said if sentence]


def _stage_sentence(comparison: Any, metric: str, stage: str) -> str:
    measured = _measured(comparison, metric)
    runs = measured[~measured["contender"].isin(BASELINE_LETTERS)]
    if runs.empty:
        return ""
    label = engine.METRICS[metric].label
    first = runs.iloc[0]
    rivals = measured[measured["contender"] != first["contender"]]
    names = {c.letter: c.name for c in comparison.contenders}
    value = f"{label} {words.number(first['value'])}"
    if len(runs) > 1 and _overlap(first, runs.iloc[1]):
        inside = [row["contender"] for _, row in runs.iloc[1:].iterrows() if _overlap(first, row)]
        told = f"{stage}, {first['contender']} is ahead with {value}, but inside the noise of {_listed(inside)}: intervals overlap."
    else:
        told = f"{stage} take **{first['contender']} {words.md(names[first['contender']], 60)}**: {value}"
        rest = rivals[~rivals["contender"].isin(BASELINE_LETTERS)]
        if not rest.empty:
            told += f", {_ahead(first, rest.iloc[0])}"
            told += "" if _known(first) and _known(rest.iloc[0]) else " (no interval to judge this by)"
        told += "."
    popular = _against(first, rivals, "pop", "popularity") or _against(first, rivals, "rnd", "random")
    found = [told, popular, _against(first, rivals, "mean", "each user's mean"), _best(rivals, label)]
    return " ".join(sentence for sentence in found if sentence)


def _ahead(first: pd.Series, second: pd.Series) -> str:
    """How far the best is from the next, in the direction that is better."""
    gap = first["value"] - second["value"]
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
