"""The most liked items first, the same for everybody."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from workers.matrices.matrix import MatrixModel, ReportProgress, no_report

if TYPE_CHECKING:
    from workers.batches import Likes  # which imports torch: serving does without


class Popularity(MatrixModel):
    """Scores an item by how often it was liked in train, whatever the weights of the rows, as the dataset's own baseline does."""

    def fit(self, likes: "Likes", seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        self.counts = likes.counts.astype(np.float32)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return np.tile(self.counts, (likes.shape[0], 1))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"counts": self.counts}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.counts = arrays["counts"]
