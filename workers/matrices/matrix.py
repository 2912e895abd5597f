"""The base of fitted models: a matrix of likes in, scores of the catalogue for anybody who liked something out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.sparse import csr_matrix

if TYPE_CHECKING:
    from workers.batches import Likes  # which imports torch: serving does without


ReportProgress = Callable[[float], None]  # takes the share of a fit that is done


def no_report(share: float) -> None:
    """Report to nobody."""


class MatrixModel(ABC):
    """A model that is fitted at once and scores people by their likes alone, so that new users need no new fit.

    It stores nothing about single users. Letters: U users, N items.

    A model that reads order takes likes whose rows hold each like in order of time, the oldest first and repeats apart, each with a weight
    of 1 (`workers.batches.read_likes`, `in_order`). Taking rows of such a matrix keeps that order, and so does a product with it; what
    sorts its entries or adds up equal ones does not.
    """

    reads_order: ClassVar[bool] = False

    @abstractmethod
    def fit(self, likes: "Likes", seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        """Learn from who liked what in train. seed: of random numbers."""

    @abstractmethod
    def scores(self, likes: csr_matrix) -> np.ndarray:
        """Scores of the whole catalogue, in no particular unit: likes [U, N], weighted as in train, to float32 [U, N].

        All items get a score, also those that are liked already; without any like all scores are equal, or those of popularity.
        """

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a checkpoint; with the settings they are the whole model."""

    @abstractmethod
    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the model from the arrays that `arrays` returned; KeyError when one is missing."""

    def item_embeddings(self) -> np.ndarray | None:
        """Vectors of the items, float32 [N, D], whose dot product with a vector of the user is the score; None where the model has none."""
        return None

    def user_vector(self, likes: csr_matrix) -> np.ndarray | None:
        """Vectors of people by their likes [U, N], float32 [U, D], whose dot products with `item_embeddings` score; None without them."""
        return None
