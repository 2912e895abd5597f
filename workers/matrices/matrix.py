"""What every fitted model is: a matrix of likes in, and scores of the catalogue for whoever liked something."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
from scipy.sparse import csr_matrix

from workers.batches import Likes

ReportProgress = Callable[[float], None]  # hears which share of a fit is done


def no_report(share: float) -> None:
    """Tell nobody."""


class MatrixModel(ABC):
    """A model that is fitted at once and scores people by their likes alone, so that somebody new needs no new fit.

    It keeps nothing of single users. Letters: U users, N items.
    """

    @abstractmethod
    def fit(self, likes: Likes, seed: int = 1, told: ReportProgress = no_report) -> None:
        """Learn from who liked what in train. `seed`: of whatever is drawn at random."""

    @abstractmethod
    def scores(self, likes: csr_matrix) -> np.ndarray:
        """Scores of the whole catalogue, in no particular unit: likes [U, N], weighted as in train, to float32 [U, N].

        Nothing is left out, not even what is liked already; who likes nothing gets equal scores.
        """

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds; with the settings it is the whole model."""

    @abstractmethod
    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `arrays` gave; KeyError when one is missing."""

    def item_embeddings(self) -> np.ndarray | None:
        """Vectors of the items, float32 [N, D], whose dot product with a vector of the user is the score; None without such."""
        return None

    def user_vector(self, likes: csr_matrix) -> np.ndarray | None:
        """Vectors of people by their likes [U, N], float32 [U, D], whose dot products with `item_embeddings` score; None without such."""
        return None
