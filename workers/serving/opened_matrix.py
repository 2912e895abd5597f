"""A fitted model that is open in one process. Imports no torch: a server of such a model does without."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from workers.matrices import MatrixModel
from workers.serving.opened_model import OpenedModel, State, UserItems


class OpenedMatrix(OpenedModel):
    """A fitted model: it knows people by their likes alone."""

    def __init__(self, items: pd.DataFrame, model: MatrixModel) -> None:
        super().__init__(items)
        self.model, self.reads_order, self.reads_likes = model, model.reads_order, not model.reads_order

    def people(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> list[State]:
        return [self.likes([one]) for one in user_items]

    def grid(self, frame: pd.DataFrame, user_items: Sequence[UserItems]) -> np.ndarray:
        return self.model.scores(self.likes(user_items))

    def likes(self, user_items: Sequence[UserItems]) -> csr_matrix:
        """The likes of people as the model reads them: [U, N], by item, or in order of time."""
        liked = [one.sequence if self.reads_order else one.liked for one in user_items]
        weights = [np.ones(len(one.sequence), np.float32) if self.reads_order else one.weights for one in user_items]
        starts = np.cumsum([0, *map(len, liked)])
        rows = csr_matrix((np.concatenate(weights), np.concatenate(liked), starts), (len(user_items), len(self.items)))
        if not self.reads_order:
            rows.sum_duplicates()
        return rows

    def scores(self, person: State, places: np.ndarray | None = None) -> np.ndarray:
        scores = self.model.scores(person)[0]
        return scores if places is None else scores[places]

    def queries(self, people: Sequence[State]) -> np.ndarray | None:
        vectors = [self.model.user_vector(person) for person in people]
        return None if any(vector is None for vector in vectors) or not vectors else np.concatenate(vectors)  # type: ignore[arg-type]

    @property
    def vectors(self) -> np.ndarray | None:
        return self.model.item_embeddings()
