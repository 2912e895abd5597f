"""The most liked first, for everybody alike."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from workers.likes import Likes
from workers.modules.matrix import MatrixModel, Told, in_silence


class Popularity(MatrixModel):
    """Scores an item by how often it was liked in train: the rows, not what they weigh, as the dataset's own baseline has it."""

    def fit(self, likes: Likes, seed: int = 1, told: Told = in_silence) -> None:
        self.counts = likes.counts.astype(np.float32)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return np.tile(self.counts, (likes.shape[0], 1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"counts": self.counts}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.counts = arrays["counts"]
