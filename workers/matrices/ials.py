"""Implicit ALS by the `implicit` library, or in closed form where regularisation is scaled; and the closed form that folds a user in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from workers.matrices.matrix import MatrixModel, ReportProgress, no_report

if TYPE_CHECKING:
    from workers.batches import Likes  # which imports torch: serving does without

CELLS = 1 << 23  # numbers of the systems that are solved at once: 64 MB
SPREAD = 0.1  # of the factors that a fit begins with, times the square root of their number (Rendle et al. 2022)


class IALS(MatrixModel):
    """Factors of users x and items y that minimise the sum of c (p - xy)² over all pairs, plus strength (|x|² + |y|²), where
    p is 1 for what is liked and c = 1 + alpha times its weight, else 0 and 1; strength = regularisation (1 + alpha), so that one
    value has the same effect for every alpha.

    With frequency scaling ν the strength of a user with n likes is multiplied by ((alpha n + N) / mean over users)^ν, and that of an
    item likewise (Rendle et al., RecSys 2022, equation 7, scaled so that the mean stays about the same): 0 is the plain model.

    Only the factors of items are kept: those of a user follow from the likes. D factors.
    """

    def __init__(self, factors: int, regularisation: float, alpha: float, iterations: int, frequency_scaling: float = 0.0) -> None:
        self.factors, self.alpha, self.iterations, self.scaling = factors, alpha, iterations, frequency_scaling
        self.strength, self.usual = regularisation * (1 + alpha), 0.0  # usual: the mean over users of alpha n

    def fit(self, likes: "Likes", seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        self.usual = float(self.alpha * likes.matrix.sum() / max(1, likes.matrix.shape[0]))
        self._take(self._scaled(likes.matrix, seed, report_progress) if self.scaling else self._plain(likes.matrix, seed, report_progress))

    def _plain(self, likes: csr_matrix, seed: int, report_progress: ReportProgress) -> np.ndarray:
        """The factors of items by the library, which solves by conjugate gradients."""
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        confidence = likes.copy()
        confidence.data = 1 + self.alpha * confidence.data  # the library expects c
        with threadpool_limits(1, "blas"):  # it has threads of its own; threads of BLAS within them slow it tenfold
            solver = AlternatingLeastSquares(
                factors=self.factors, regularization=self.strength, alpha=1.0, iterations=self.iterations, random_state=seed
            )
            solver.fit(confidence, show_progress=False, callback=lambda done, *_: report_progress((done + 1) / self.iterations))
        return solver.item_factors

    def _scaled(self, likes: csr_matrix, seed: int, report_progress: ReportProgress) -> np.ndarray:
        """The factors of items, each side solved exactly in turn."""
        turned, items = likes.T.tocsr(), np.random.default_rng(seed).normal(0, SPREAD / self.factors**0.5, (likes.shape[1], self.factors))
        usual = float(self.alpha * likes.sum() / max(1, likes.shape[1]))
        for sweep in range(self.iterations):
            users = self._solve(likes, items, items.T @ items, self._strengths(likes, self.usual))
            items = self._solve(turned, users, users.T @ users, self._strengths(turned, usual))
            report_progress((sweep + 1) / self.iterations)
        return items

    def _strengths(self, likes: csr_matrix, usual: float) -> np.ndarray:
        """The regularisation of each row [U]. usual: mean over rows of alpha times the likes of a row."""
        sums, others = np.asarray(likes.sum(axis=1), np.float64).ravel(), likes.shape[1]
        return self.strength * ((self.alpha * sums + others) / (usual + others)) ** self.scaling

    def _solve(self, likes: csr_matrix, fixed: np.ndarray, gram: np.ndarray, strengths: np.ndarray) -> np.ndarray:
        """The best factors of rows by their likes [U, N], given those of the other side: float64 [U, D].

        (YᵀCY + strength I)⁻¹ YᵀCp of Hu, Koren, Volinsky 2008; all rows share YᵀY, and each adds what it likes.
        """
        size, solved = max(1, CELLS // self.factors**2), np.zeros((likes.shape[0], self.factors))
        for begin in range(0, likes.shape[0], size):
            some = slice(begin, min(begin + size, likes.shape[0]))
            left = gram + strengths[some, None, None] * np.eye(self.factors)
            right = np.zeros((len(left), self.factors))
            for place, (start, end) in enumerate(zip(likes.indptr[some], likes.indptr[begin + 1 : some.stop + 1], strict=True)):
                liked, extra = fixed[likes.indices[start:end]], self.alpha * likes.data[start:end].astype(np.float64)
                left[place] += liked.T @ (liked * extra[:, None])
                right[place] = (1 + extra) @ liked
            solved[some] = np.linalg.solve(left, right[..., None])[..., 0]
        return solved

    def _take(self, items: np.ndarray) -> None:
        self.items = items.astype(np.float32)
        self._exact = self.items.astype(np.float64)
        self._gram = self._exact.T @ self._exact

    def user_factors(self, likes: csr_matrix) -> np.ndarray:
        """The best factors of users by their likes [U, N], given those of the items: float64 [U, D]."""
        return self._solve(likes, self._exact, self._gram, self._strengths(likes, self.usual))

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return (self.user_vector(likes) @ self.items.T).astype(np.float32)

    def user_vector(self, likes: csr_matrix) -> np.ndarray:
        return self.user_factors(likes).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"items": self.items} | ({"usual": np.array([self.usual], np.float64)} if self.scaling else {})

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.usual = float(arrays["usual"][0]) if self.scaling else 0.0
        self._take(arrays["items"])

    def item_embeddings(self) -> np.ndarray:
        return self.items
