"""How much the retriever's score counts in a funnel's order: chosen on validation, like any setting that is left empty.

final = ranker + weight * retriever: linear interpolation of the scores of both stages (Wang, Zhuang and Zuccon, "BERT-based dense
retrievers require interpolation with BM25 for effective passage retrieval", ICTIR 2021). The share of the retriever is of scores in units
of their spread: share / (1 - share) = weight * (spread of the retriever) / (spread of the ranker). A share of 1 is the retriever's own
order, and has no weight: with it among the shares, a funnel is never below its retriever on validation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from workers.evaluation import best_places, ndcg_at_k
from workers.serving import OpenedFunnel, State, UserItems, blended

SHARES = tuple(tenth / 10 for tenth in range(11))


class Blend(NamedTuple):
    """The chosen share and weight (None: the retriever alone orders), and for each share that was tried the mean NDCG over the users of
    validation."""

    share: float
    weight: float | None
    tried: list[dict[str, float]]


class _Person(NamedTuple):
    first: np.ndarray  # the retriever's scores of the candidates, float32 [n]
    second: np.ndarray  # the ranker's
    relevant: np.ndarray  # bool [n]
    ties: np.ndarray  # int64 [n]
    wanted: int  # relevant items of the whole catalogue


def choose(opened_model: OpenedFunnel, users: pd.DataFrame, user_items: Sequence[UserItems], k: int, share: float | None = None) -> Blend:
    """The share with the best NDCG@k on users of validation, or the given one; the smaller of equals.

    Args:
        users, user_items: as `measure.people_to_rank` returns them. share: None where it is to be chosen.
    """
    states = opened_model.people(users, user_items) if len(users) else []
    people = [
        _person(opened_model, *one) for one in zip(states, (np.asarray(rows, np.int64) - 1 for rows in users["relevant"]), strict=True)
    ]
    first, second = _spread([one.first for one in people]), _spread([one.second for one in people])
    unit = second / first if first > 0 else 0.0  # a retriever whose scores are all equal does not order anything
    shares = sorted({*SHARES, *(() if share is None else (share,))})
    weights = {one: unit * one / (1 - one) if one < 1 else None for one in shares}
    tried = [{"share": one, "ndcg": _quality(people, weight, k)} for one, weight in weights.items()] if people else []
    best = max(tried, key=lambda row: row["ndcg"], default={"share": 0.0})["share"]
    chosen = best if share is None else share
    return Blend(chosen, weights[chosen], tried)


def _person(opened_model: OpenedFunnel, person: State, relevant: np.ndarray) -> _Person:
    candidates = opened_model.retrieve(person, opened_model.candidates)
    scores = np.array(opened_model.ranker.scores(person[1], candidates.places), np.float32)
    return _Person(candidates.scores, scores, np.isin(candidates.places, relevant), opened_model.ties[candidates.places], len(relevant))


def _spread(scores: list[np.ndarray]) -> float:
    """The mean over people of the standard deviation of the finite scores of their candidates."""
    finite = [one[np.isfinite(one)] for one in scores]
    deviations = [float(one.std()) for one in finite if len(one) > 1]
    return float(np.mean(deviations)) if deviations else 0.0


def _quality(people: list[_Person], weight: float | None, k: int) -> float:
    return float(np.mean([_ndcg(one, weight, k) for one in people]))


def _ndcg(one: _Person, weight: float | None, k: int) -> float:
    hits = one.relevant[None, best_places(blended(one.first, one.second, weight), one.ties, k)]
    return float(ndcg_at_k(hits, np.array([one.wanted]), k)[0])
