"""A model that is open in one process: people's states, scores of items for them. Letters: U people, N items, S width."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workers.artifacts import FEATURE
from workers.specs import HISTORY, FeatureSchema

NOTHING = np.zeros(0, np.int64)
State = Any  # a person as the model represents it; opaque to everybody else


class UserItems(NamedTuple):
    """A person's items of train, by place in the catalogue."""

    liked: np.ndarray  # int64 [n]
    weights: np.ndarray  # float32 [n], of the likes
    seen: np.ndarray  # int64 [m], those that are not recommended again
    sequence: np.ndarray = NOTHING  # int64 [s], the likes in order of time, the oldest first, repeats too; empty where no model reads it


class OpenedModel(ABC):
    """A model with its catalogue. An item's place in it is its row - 1."""

    reads_likes: bool = False  # whether it reads `liked` and `weights` of people's items
    reads_order: bool = False  # whether it reads their `sequence`

    def __init__(self, items: pd.DataFrame) -> None:
        self.items = items

    @abstractmethod
    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        """The states of U people.

        Args:
            frame: their encoded rows, as in users.parquet or ranking/*.parquet. user_items: their items of train.
        """

    @abstractmethod
    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        """Scores that rank, float32: of the whole catalogue [N], or of the items at some places [n]; -inf: never recommended."""

    def grid(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> np.ndarray:
        """Scores of the whole catalogue for many people at once, float32 [U, N]: people as in `people`, scores as in `scores`."""
        return np.stack([self.scores(person) for person in self.people(frame, user_items)])

    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        """Vectors [U, S] whose dot products with `vectors` rank as `scores` does; None for a model without such vectors."""
        return None

    @property
    def vectors(self) -> np.ndarray | None:
        """Vectors of the items, float32 [N, S]; None for a model without such vectors."""
        return None


def newcomer(schema: FeatureSchema, liked: Sequence[int]) -> pd.DataFrame:
    """The encoded row of a new user who likes some items (rows): ids are unknown, dense features are at their mean."""
    columns: dict[str, list[Any]] = {}
    for feature in schema.on("user"):
        empty: Any = np.zeros(0, np.int32) if feature.multi_valued else 0
        columns[FEATURE + feature.name] = [np.asarray(liked, np.int32) if feature.name == HISTORY else empty]
    for place in schema.dense_on("user"):
        columns[FEATURE + schema.dense[place].name] = [0.0]
    return pd.DataFrame(columns, index=[0])
