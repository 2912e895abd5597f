"""Signs that a finished model is degenerate, or is not what its settings could give, or was measured on too little.

Letters: U users, N items, S width of a state.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workers.artifacts import Metric
from workers.evaluation.power import smallest_difference

SAME_LIST = 0.5  # share of users with the same top 10 from which lists are not personal
ALIKE = 0.99  # mean cosine between items from which embeddings count as collapsed
FLAT = 1e-3  # relative fall of the training loss below which nothing was learnt
SAMPLE = 2000
RISING = 1e-3  # relative gain of the last epoch over the best before it, from which validation counts as still rising
SHOWN_EPOCHS = 4
FEW_USERS = 30
CUT = 0.1  # share of users whose history is cut, from which it is said


def list_alarms(
    *, logits: np.ndarray, ranked: pd.DataFrame, item_states: np.ndarray, losses: Sequence[float], popularity: float | None
) -> list[str]:
    """The problems of a model, one sentence each; none for a sound one.

    Args:
        logits: [B] scores of test rows.
        ranked: U rows with `items` (lists of item rows) and `ndcg_at_10`; empty where no users were ranked for.
        item_states: [N, S] of a model that embeds items in one space; empty for others.
        losses: mean training loss of each epoch.
        popularity: NDCG@10 of the popularity baseline; None where there is none.
    """
    problems = [
        _one_sign(logits),
        _flat(losses),
        _one_list(ranked),
        _collapsed(item_states),
        _worse_than_popular(ranked, popularity),
    ]
    return [sentence for sentence in problems if sentence]


def _one_sign(logits: np.ndarray) -> str | None:
    if len(logits) < 2:
        return None
    if np.ptp(logits) == 0:
        return f"Every test row has the same logit, {logits[0]:.3g}: the model does not look at its input."
    if logits.min() >= 0:
        return f"Every logit on test is ≥ 0 (the smallest is {logits.min():.3g}): the model can call nothing unlikely."
    return None


def _flat(losses: Sequence[float]) -> str | None:
    known = [loss for loss in losses if np.isfinite(loss)]
    if len(known) < len(losses):
        return "The training loss was not finite in some epoch; lower the learning rates."
    if len(known) > 1 and known[0] - min(known) < FLAT * abs(known[0]):
        return f"The training loss stayed flat ({known[0]:.4g} in the first epoch, {min(known):.4g} at best): nothing was learnt."
    return None


def _one_list(ranked: pd.DataFrame) -> str | None:
    if len(ranked) < 10:
        return None
    lists = Counter(tuple(sorted(items[:10])) for items in ranked["items"])
    share = lists.most_common(1)[0][1] / len(ranked)
    return f"{share:.0%} of the users get the same top 10: the lists are not personal." if share >= SAME_LIST else None


def _collapsed(states: np.ndarray) -> str | None:
    if states.ndim != 2 or len(states) < 10:
        return None
    some = states[np.random.default_rng(0).permutation(len(states))[:SAMPLE]].astype(np.float64)
    lengths = np.linalg.norm(some, axis=1, keepdims=True)
    if not (lengths > 0).any():
        return "Every item embedding is zero."
    unit = some / np.maximum(lengths, 1e-12)
    alike = (np.linalg.norm(unit.sum(0)) ** 2 - len(unit)) / (len(unit) * (len(unit) - 1))
    return f"Item embeddings have collapsed: their mean cosine is {alike:.3f}." if alike > ALIKE else None


def _worse_than_popular(ranked: pd.DataFrame, popularity: float | None) -> str | None:
    if popularity is None or ranked.empty:
        return None
    reached = float(ranked["ndcg_at_10"].mean())
    if reached >= popularity:
        return None
    return f"Over the full catalogue it ranks worse than popularity: NDCG@10 {reached:.3f} against {popularity:.3f}."


def still_rising(model: str, metric: Metric, values: Sequence[float], epochs: int) -> list[str]:
    """Whether the last epoch was clearly the best on validation, so that more of them would have helped.

    Args:
        metric: the one that picks the epoch. values: of each epoch, signed so that more is better. epochs: the number of the last one.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return []
    before = max(values[:-1])
    if values[-1] - before <= RISING * abs(before):
        return []
    last = " ".join(f"{abs(value):.3f}".removeprefix("0") for value in values[-SHOWN_EPOCHS:])
    way = "falling" if metric.better == "lower" else "rising"
    return [
        f"{model}: validation {metric.label} {last} was still {way} when training stopped after its {epochs:,} epochs: train longer, or "
        "continue this run."
    ]


def at_edge(model: str, settings: Mapping[str, Any]) -> list[str]:
    """Settings that a search chose at an end of what it tries. settings: dotted name -> the value chosen."""
    return [
        f"{model}: the best {name.rpartition('.')[2]}, {value:.4g}, is at an end of what the search tries: a better one may lie beyond. "
        "Widen its range."
        for name, value in settings.items()
    ]


def cut_histories(lengths: np.ndarray, most: int) -> list[str]:
    """Whether the dataset cuts many users' histories.

    Args:
        lengths: [U] liked rows of train of each user. most: the dataset's `history`.
    """
    share = float((lengths > most).mean()) if len(lengths) else 0.0
    if share <= CUT:
        return []
    return [f"history {most:,} cuts the history of {share:.0%} of users: prepare the dataset with a longer one."]


def few_users(ranked: int, counts: Mapping[str, Any]) -> list[str]:
    """Whether the users to rank for are none, or too few to tell models apart; with the cause and what to do.

    Args:
        ranked: users that were ranked for. counts: of the dataset's manifest.
    """
    if ranked >= FEW_USERS:
        return []
    rows, cold = counts.get("interactions", {}).get("test") or 0, counts.get("cold_user_rows_test") or 0
    if rows and cold > rows / 2:
        cause = f"{cold:,} of {rows:,} test rows are of users that train does not have; split per user, or use more interactions."
    else:
        cause = "few test users like an item of train that is new to them; give test a larger share, or use more interactions."
    if not ranked:
        return [f"There are no ranking metrics, since no test user can be ranked for: {cause}"]
    seen = smallest_difference(ranked)
    return [f"Only {ranked} test users can be ranked for, so that models must differ by {seen:.2f} in NDCG@10 for it to be seen: {cause}"]
