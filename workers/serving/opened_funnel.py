"""A retriever and a ranker that are open as one model. Letters: N items, n candidates."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from workers.artifacts import index
from workers.evaluation import best_places, tie_order
from workers.serving.opened_model import OpenedModel, State, UserItems
from workers.specs import TIE_SEED


class Candidates(NamedTuple):
    """A person's candidates, best first: int64 [n] places, and the retriever's scores of them, float32 [n]."""

    places: np.ndarray
    scores: np.ndarray


def blended(first: np.ndarray, second: np.ndarray, weight: float | None) -> np.ndarray:
    """The scores of both stages as one: the ranker's, plus the retriever's times its weight; the retriever's alone where that is None.

    Args:
        first, second: float32 [n], of the retriever and of the ranker.
    """
    if weight is None:
        return first
    return second + np.float32(weight) * first if weight else second


class OpenedFunnel(OpenedModel):
    """A retriever and a ranker as one model: an item that is not retrieved scores -inf.

    Args:
        weight: of the retriever's score, which is added to the ranker's; None: the retriever's score alone orders.
    """

    def __init__(
        self, retriever: OpenedModel, ranker: OpenedModel, vectors: index.Index | None, candidates: int, weight: float | None = 0.0
    ) -> None:
        super().__init__(ranker.items)
        self.retriever, self.ranker, self.index, self.candidates, self.weight = retriever, ranker, vectors, candidates, weight
        self.ties = tie_order(len(self.items), TIE_SEED)
        self.reads_likes, self.reads_order = (retriever.reads_likes or ranker.reads_likes), (retriever.reads_order or ranker.reads_order)

    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        pairs = zip(self.retriever.people(frame, user_items), self.ranker.people(frame, user_items), user_items, strict=True)
        return [(first, second, one.seen) for first, second, one in pairs]

    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        candidates = self.retrieve(person, self.candidates)
        scores = np.full(len(self.items), -np.inf, np.float32)
        scores[candidates.places] = self.order(person, candidates)
        return scores if places is None else scores[places]

    def order(self, person: State, candidates: Candidates) -> np.ndarray:
        """The scores that order candidates: float32 [n]."""
        if self.weight is None:
            return candidates.scores
        return blended(candidates.scores, np.array(self.ranker.scores(person[1], candidates.places), np.float32), self.weight)

    def retrieve(self, person: State, n: int) -> Candidates:
        """The n best items that the person has not seen, fewer where there are no more."""
        first, _, seen = person
        queries = self.retriever.queries([first]) if self.index is not None else None
        if queries is not None and self.index is not None:
            scores, places = (one[0] for one in self.index.search(queries, n + len(seen)))
            new = np.flatnonzero((places >= 0) & ~np.isin(places, seen))[:n]
            return Candidates(places[new], scores[new])
        scores = np.array(self.retriever.scores(first), np.float32)
        scores[seen] = -np.inf
        places = best_places(scores, self.ties, n)
        places = places[np.isfinite(scores[places])]
        return Candidates(places, scores[places])
