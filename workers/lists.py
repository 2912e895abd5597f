"""Metrics of recommended lists, from the lists alone: the same at any k while a model is judged and later from what its run stored.

Letters: U users, N items, K list length, k <= K a cutoff. Numpy alone, so that a page may compute them.
"""

from collections.abc import Callable, Iterable

from workers import metrics
from workers.metrics import Bools, Floats, Ints
from workers.results import METRICS, cutoff

RANKING_AT: dict[str, Callable[[Bools, Ints, int], Floats]] = {
    "ndcg": metrics.ndcg_at_k,
    "recall": metrics.recall_at_k,
    "precision": metrics.precision_at_k,
    "map": metrics.average_precision_at_k,
    "hit_rate": metrics.hit_rate_at_k,
}  # of hits [U, K], relevant items [U] and k: a value a user, [U]
DEEPEST = max(found[1] for key in METRICS if (found := cutoff(key)))  # the greatest k that a run measures


def ranking_metrics(hits: Bools, num_relevant: Ints, wanted: Iterable[str] = tuple(METRICS)) -> dict[str, Floats]:
    """The ranking metrics with a cutoff among `wanted`, keys such as ndcg_at_10: [U] each. Arguments as in `metrics.recall_at_k`."""
    asked = [(key, found) for key in wanted if (found := cutoff(key)) and found[0] in RANKING_AT]
    return {key: RANKING_AT[name](hits, num_relevant, k) for key, (name, k) in asked}
