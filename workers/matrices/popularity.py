"""The most liked items first, the same for everybody."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from workers.batches import Likes
from workers.matrices.matrix import MatrixModel, ReportProgress, no_report


class Popularity(MatrixModel):
    """Scores an item by how often it was liked in train, whatever the weights of the rows, as the dataset's own baseline does."""

    def fit(self, likes: Likes, seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        self.counts = likes.counts.astype(np.float32)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return np.tile(self.counts, (likes.shape[0], 1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"counts": self.counts}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.counts = arrays["counts"]
