"""The most liked first, for everybody alike."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from workers.batches import Likes
from workers.matrices.matrix import MatrixModel, ReportProgress, no_report


class Popularity(MatrixModel):
    """Scores an item by how often it was liked in train: the rows, not what they weigh, as the dataset's own baseline has it."""

    def fit(self, likes: Likes, seed: int = 1, told: ReportProgress = no_report) -> None:
        self.counts = likes.counts.astype(np.float32)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return np.tile(self.counts, (likes.shape[0], 1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"counts": self.counts}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.counts = arrays["counts"]
