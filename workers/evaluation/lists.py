"""Metrics of recommended lists, from the lists alone: the same at any k while a model is measured and later from its stored lists.

Letters: U users, N items, K list length, k <= K a cutoff. Numpy alone, so that a page may compute them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workers.artifacts import METRICS, cutoff
from workers.evaluation import metrics
from workers.evaluation.metrics import Bools, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

RANKING_AT: dict[str, Callable[[Bools, Ints, int], Floats]] = {
    "ndcg": metrics.ndcg_at_k,
    "recall": metrics.recall_at_k,
    "precision": metrics.precision_at_k,
    "map": metrics.average_precision_at_k,
    "hit_rate": metrics.hit_rate_at_k,
}  # of hits [U, K], relevant items [U] and k: a value a user, [U]
PER_LIST = ("novelty", "diversity", "popularity")  # metrics of the family "lists" that single lists have
DEEPEST = max(parts[1] for key in METRICS if (parts := cutoff(key)))  # the largest k that a run measures


def ranking_metrics(hits: Bools, num_relevant: Ints, wanted: Iterable[str] = tuple(METRICS)) -> dict[str, Floats]:
    """The ranking metrics with a cutoff among `wanted`, keys such as ndcg_at_10: [U] each. Arguments as in `metrics.recall_at_k`."""
    cutoffs = [(key, parts) for key in wanted if (parts := cutoff(key)) and parts[0] in RANKING_AT]
    return {key: RANKING_AT[name](hits, num_relevant, k) for key, (name, k) in cutoffs}


class Facts(NamedTuple):
    """Facts of the N items of the catalogue, in its order, that metrics of lists need."""

    surprise: Floats  # [N] bits
    percentile: Floats  # [N] of popularity
    group: Ints  # [N] which of `groups` the item's genres are, -1 for an item without
    groups: list[Ints]  # sets of genres, as numbers


def facts_of(items: "pd.DataFrame", num_users: int) -> Facts:
    """From the catalogue: its `train_positives` and, where it has them, `genres`, a text such as Comedy|Drama.

    Args:
        num_users: users of train.
    """
    likes = items["train_positives"].to_numpy(np.float64)
    texts = [text if isinstance(text, str) else "" for text in items["genres"]] if "genres" in items else [""] * len(items)
    numbers: dict[str, int] = {}
    places: dict[str, int] = {}
    groups: list[Ints] = []
    for text in dict.fromkeys(texts):
        if names := {name.strip() for name in text.split("|")} - {""}:
            places[text] = len(groups)
            groups.append(np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64))
    group = np.array([places.get(text, -1) for text in texts], np.int64)
    return Facts(metrics.self_information(likes, max(num_users, 1)), metrics.popularity_percentile(likes), group, groups)


def padded(lists: "Sequence[Any] | pd.Series", length: int) -> Ints:
    """The first items of each list as positions in the catalogue, int64 [U, length]: item row - 1, and -1 behind a shorter list."""
    top = np.full((len(lists), length), -1, np.int64)
    for place, items in enumerate(lists):
        first = np.asarray(items[:length], np.int64)
        top[place, : len(first)] = first - 1
    return top


def list_metrics(top: Ints, facts: Facts, k: int) -> dict[str, Floats]:
    """Metrics of each list, [U] each; nan where a list has too few items.

    Args:
        top: [U, K] of `padded`.
    """
    first = top[:, :k]
    values = (metrics.list_means(facts.surprise, first), metrics.list_diversity(first, facts.group, facts.groups))
    return dict(zip((f"{name}_at_{k}" for name in PER_LIST), (*values, metrics.list_means(facts.percentile, first)), strict=True))


def all_lists_metrics(top: Ints, num_items: int, k: int) -> dict[str, float]:
    """Metrics of the lists of all users together. Arguments as in `list_metrics`."""
    first = top[:, :k]
    listed = first[first >= 0]
    return {f"coverage_at_{k}": metrics.coverage(listed, num_items), f"gini_at_{k}": metrics.gini(listed, num_items)}
