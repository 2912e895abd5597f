"""Live recommendations of a finished run for one user. Imports torch: import it where it is first needed."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from engine import datasets, runs
from engine.recommend.explanations import Reasons, likeness, reasons
from workers.artifacts import TEST, TRAIN, VALID, PreparedDataset
from workers.serving import EVERYTHING, Filter, ListMaker, OpenedModel, UserItems, open_run

PROBE_ITEMS = 40  # half of them are the likes of one new user each, to test whether a model distinguishes the two


class Explanation(NamedTuple):
    """Why items were recommended: for each, titles of liked items, the strongest first, or the parts of its score by feature group."""

    method: str  # a sentence on the method; empty where the model offers no explanation
    because: list[list[str]]
    parts: list[dict[str, float]]


class Recommender(ListMaker):
    """A finished run's model with its catalogue, ready to rank it for a user of the dataset or a new user."""

    def __init__(self, dataset: datasets.Dataset, opened: OpenedModel) -> None:
        super().__init__(dataset.id, opened, dataset.schema)
        self._path, self._splits = dataset.path, dataset.known_at_test

    def scores(self, user_id: str, exclude_seen: bool = True, candidates: Sequence[str] | None = None) -> np.ndarray:
        """Scores of the whole catalogue for a user of the dataset, float32 [N]; -inf for what is not shown.

        Args:
            candidates: ids of the only items that are ranked; None: all.

        Raises:
            LookupError: no such user, or no such item.
        """
        row, user_items = self._user(user_id)
        return self.score(row, user_items if exclude_seen else user_items._replace(seen=np.zeros(0, np.int64)), self._among(candidates))

    def scores_of_new(self, liked: list[str], candidates: Sequence[str] | None = None) -> np.ndarray:
        """Scores for a new user, from some liked items (ids), the latest last, by history bag or fold-in; else as `scores`."""
        return self.score(*self.newcomer(liked), self._among(candidates))

    def _among(self, candidates: Sequence[str] | None) -> np.ndarray | None:
        return None if candidates is None else self.places(candidates)

    def why(self, user_id: str, item_ids: list[str]) -> Explanation:
        """Why some items were recommended to a user, according to the model. LookupError: no such user or item."""
        return self._why(*self._user(user_id), item_ids)

    def why_new(self, liked: list[str], item_ids: list[str]) -> Explanation:
        """As `why`, for a new user."""
        return self._why(*self.newcomer(liked), item_ids)

    @cached_property
    def tells_newcomers_apart(self) -> bool:
        """Whether the likes of a new user change the scores: not for a network without a history input, nor for popularity."""
        some = (
            self.items["item_id"]
            .iloc[np.argsort(-self.items["train_positives"].to_numpy(), kind="stable")[: min(PROBE_ITEMS, len(self.items) // 2)]]
            .tolist()
        )
        one, other = (np.delete(self.scores_of_new(liked), self.places(some)) for liked in (some[::2], some[1::2]))
        return not np.array_equal(one, other)

    def recommend(
        self, user_id: str, k: int = 10, exclude_seen: bool = True, only: Filter = EVERYTHING, candidates: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The user's k best items, under the protocol's rules.

        Args:
            exclude_seen: leave out items that the user met before test. only: which items may be recommended.
            candidates: ids of the only items that are ranked, such as those of a retriever; None: all. A funnel ranks those of them that
                its retriever finds.

        Returns:
            rank (from 1), item_id, title, genres, score, train_positives, seen (before test), liked (on test: a hit, as
            the metrics count it).

        Raises:
            LookupError: no such user in the dataset, or no such candidate.
        """
        scores = self.scores(user_id, exclude_seen, candidates)
        liked = _known(self._path, self.dataset, user_id, self._splits).held_out
        seen = self.items["item_id"].iloc[self._user(user_id)[1].seen]
        return self.best(scores, k, only).assign(seen=lambda top: top["item_id"].isin(seen), liked=lambda top: top["item_id"].isin(liked))

    def recommend_new(
        self, liked: list[str], k: int = 10, only: Filter = EVERYTHING, candidates: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The k best items for a new user, from some liked items (ids): columns as in `recommend`. LookupError: no such item."""
        return self.best(self.scores_of_new(liked, candidates), k, only).assign(seen=False, liked=False)

    def user_state(self, user_id: str) -> np.ndarray:
        """The query of a retriever's user, float32 [S]: its dot product with an item's embedding is the score that ranks.

        Raises:
            LookupError: no such user. ValueError: the model has no item vectors.
        """
        row, user_items = self._user(user_id)
        queries = self.opened.queries(self.opened.people(row, [user_items]))
        if queries is None:
            raise ValueError("This model has no vectors of users and items; choose a two-tower or iALS.")
        return queries[0]

    def similar(self, item_id: str, k: int = 10, only: Filter = EVERYTHING) -> tuple[pd.DataFrame, str]:
        """The k items most similar to one, columns as in `recommend` with the similarity as score, and a sentence on the method.

        Raises:
            LookupError: no such item. ValueError: the model has neither vectors nor weights of items.
        """
        found = likeness(self.opened, int(self.places([item_id])[0]))
        if found is None:
            raise ValueError("This model has neither vectors nor weights of items: it has no similarity of items.")
        return self.best(found[0], k, only).assign(seen=False, liked=False), found[1]

    def _why(self, row: pd.DataFrame, user_items: UserItems, item_ids: list[str]) -> Explanation:
        own: Reasons = reasons(self.opened, self.schema, row, user_items, self.places(item_ids))
        titles = self.items["title"].where(self.items["title"].notna(), "item " + self.items["item_id"])
        return Explanation(own.method, [titles.iloc[places].tolist() for places in own.liked], own.parts)

    def _user(self, user_id: str) -> tuple[pd.DataFrame, UserItems]:
        known = _known(self._path, self.dataset, user_id, self._splits)
        liked = known.likes[known.likes["item_id"].isin(self._place.index)]
        places = self._place[liked["item_id"]].to_numpy(np.int64)
        seen = self._place.reindex(known.seen).dropna().to_numpy(np.int64)
        valid = (liked["split"] == VALID).to_numpy()
        in_order = np.concatenate([places[~valid][::-1], places[valid][::-1]])[max(len(places) - (self.schema.sequence or 0), 0) :]
        return known.row, UserItems(places, liked["weight"].to_numpy(np.float32), seen, in_order)


class UserRecord(NamedTuple):
    """One user of a dataset."""

    row: pd.DataFrame  # of users.parquet
    likes: pd.DataFrame  # before test, the newest first: item_id, weight, split
    seen: list[str]  # items before test
    held_out: list[str]  # items liked on test


@lru_cache(maxsize=32)
def _known(path: Path, dataset: str, user_id: str, splits: tuple[str, ...]) -> UserRecord:
    """Cached: a prepared dataset never changes. `path` distinguishes datasets of two workspaces."""
    interactions = datasets.user_interactions(dataset, user_id)
    row, liked = datasets.user_row(dataset, user_id), interactions["label"] > 0
    known = interactions["split"].isin(splits if row["row"].iloc[0] > 0 else (TRAIN,))  # whom train does not know, no model knows
    held_out = interactions.loc[(interactions["split"] == TEST) & liked, "item_id"].tolist()
    seen = interactions.loc[known, "item_id"].unique().tolist()
    return UserRecord(row, interactions.loc[known & liked, ["item_id", "weight", "split"]], seen, held_out)


def open_model(run_id: str) -> Recommender:
    """Load a finished run's best checkpoint; LookupError, ValueError: it cannot be loaded; says what is missing."""
    run = runs.get_run(run_id)
    if run.kind != "train" or run.state != runs.RunState.FINISHED or run.dataset is None:
        raise ValueError(f"Run {run.title} is {run.state.value}; only finished training runs make recommendations.")
    dataset = datasets.get_dataset(run.dataset)
    if why := datasets.why_no_ranking(dataset):
        raise ValueError(why)
    opened = open_run(runs.whole_folder(run_id), PreparedDataset.open(dataset.path))
    return Recommender(dataset, opened)
