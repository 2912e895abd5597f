"""Implicit ALS by the `implicit` library, and the closed form that folds a user in."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_matrix

from workers.batches import Likes
from workers.matrices.matrix import MatrixModel, ReportProgress, no_report


class IALS(MatrixModel):
    """Factors of users x and items y that minimise the sum of c (p - xy)² over all pairs, plus strength (|x|² + |y|²), where
    p is 1 for what is liked and c = 1 + alpha times its weight, else 0 and 1; strength = regularisation (1 + alpha), so that one
    value has the same effect for every alpha.

    Only the factors of items are kept: those of a user follow from the likes. D factors.
    """

    def __init__(self, factors: int, regularisation: float, alpha: float, iterations: int) -> None:
        self.factors, self.alpha, self.iterations = factors, alpha, iterations
        self.strength = regularisation * (1 + alpha)

    def fit(self, likes: Likes, seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        confidence = likes.matrix.copy()
        confidence.data = 1 + self.alpha * confidence.data  # the library expects c
        with threadpool_limits(1, "blas"):  # it has threads of its own; threads of BLAS within them slow it tenfold
            solver = AlternatingLeastSquares(
                factors=self.factors, regularization=self.strength, alpha=1.0, iterations=self.iterations, random_state=seed
            )
            solver.fit(confidence, show_progress=False, callback=lambda done, *_: report_progress((done + 1) / self.iterations))
        self._take(solver.item_factors)

    def _take(self, items: np.ndarray) -> None:
        self.items = items.astype(np.float32)
        exact = self.items.astype(np.float64)
        self._exact, self._gram = exact, exact.T @ exact + self.strength * np.eye(self.factors)

    def user_factors(self, likes: csr_matrix) -> np.ndarray:
        """The best factors of users by their likes [U, N], given those of the items: float64 [U, D].

        (YᵀCY + strength I)⁻¹ YᵀCp of Hu, Koren, Volinsky 2008; all users share YᵀY, and each adds the items that it likes.
        """
        left, right = np.repeat(self._gram[None], likes.shape[0], axis=0), np.zeros((likes.shape[0], self.factors))
        for place, (start, end) in enumerate(zip(likes.indptr[:-1], likes.indptr[1:], strict=True)):
            liked, extra = self._exact[likes.indices[start:end]], self.alpha * likes.data[start:end].astype(np.float64)
            left[place] += liked.T @ (liked * extra[:, None])
            right[place] = (1 + extra) @ liked
        return np.linalg.solve(left, right[..., None])[..., 0]

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return (self.user_vector(likes) @ self.items.T).astype(np.float32)

    def user_vector(self, likes: csr_matrix) -> np.ndarray:
        return self.user_factors(likes).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"items": self.items}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._take(arrays["items"])

    def item_embeddings(self) -> np.ndarray:
        return self.items
