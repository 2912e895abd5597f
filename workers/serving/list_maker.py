"""Lists of a model for people: the same code for a page, a command and a server, so that all give the same lists. Letters: N items."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workers.evaluation import best_places, tie_order
from workers.serving.filters import EVERYTHING, Filter
from workers.serving.opened_model import OpenedModel, UserItems, newcomer
from workers.specs import TIE_SEED, FeatureSchema

SHOWN = ["item_id", "title", "genres", "train_positives"]


class ListMaker:
    """A model with its catalogue, ready to rank it for one person at a time.

    Args:
        name: of the dataset, for messages.
    """

    def __init__(self, name: str, opened: OpenedModel, schema: FeatureSchema) -> None:
        self.dataset, self.opened, self.items, self.schema = name, opened, opened.items, schema
        self._ties = tie_order(len(self.items), TIE_SEED)
        self._place = pd.Series(np.arange(len(self.items)), index=self.items["item_id"])

    def places(self, item_ids: Sequence[str]) -> np.ndarray:
        """Places in the catalogue of items, int64 [n]; LookupError: one is not in train; names it."""
        unknown = [item for item in item_ids if item not in self._place.index]
        if unknown:
            raise LookupError(f"Item {unknown[0][:80]!r} is not in the catalogue of {self.dataset}; choose one that is in train.")
        return self._place[list(item_ids)].to_numpy(np.int64)

    def newcomer(self, liked: Sequence[str]) -> tuple[pd.DataFrame, UserItems]:
        """The row and the items of somebody new who likes some items (ids), the latest last. LookupError: no such item."""
        places = self.places(liked)
        return newcomer(self.schema, list(places + 1)), UserItems(places, np.ones(len(places), np.float32), places, places)

    def score(self, row: pd.DataFrame, user_items: UserItems, among: np.ndarray | None = None) -> np.ndarray:
        """Scores of the whole catalogue for one person, float32 [N]; -inf for what is not recommended.

        Args:
            row: the person's, as in users.parquet. among: places of the only items that may be recommended; None: all.
        """
        person = self.opened.people(row, [user_items])[0]
        if among is None:
            scores = np.array(self.opened.scores(person), np.float32)
        else:
            scores = np.full(len(self.items), -np.inf, np.float32)
            scores[among] = self.opened.scores(person, among)
        scores[user_items.seen] = -np.inf
        return scores

    def top(self, scores: np.ndarray, k: int, only: Filter = EVERYTHING) -> np.ndarray:
        """Places of the k best items by scores [N], best first, ties in the protocol's order: int64 [k], fewer where there are no more."""
        if only:
            scores = np.where(only.keeps(self.items), scores, np.float32(-np.inf))
        places = best_places(scores, self._ties, k)
        return places[np.isfinite(scores[places])]

    def best(self, scores: np.ndarray, k: int, only: Filter = EVERYTHING) -> pd.DataFrame:
        """The items of `top`: rank, item_id, title, genres, train_positives, score."""
        places = self.top(scores, k, only)
        shown: pd.DataFrame = self.items.iloc[places][SHOWN].reset_index(drop=True)
        shown.insert(0, "rank", np.arange(1, len(shown) + 1))
        return shown.assign(score=scores[places])
