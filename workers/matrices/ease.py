"""EASE in closed form, in place: the one array of N x N float64 is the Gram matrix, then its factor, then its inverse."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_matrix

from workers.matrices.matrix import MatrixModel, ReportProgress, no_report

if TYPE_CHECKING:
    from workers.batches import Likes  # which imports torch: serving does without

STRIP = 1024  # rows handled at a time beside the N x N arrays


class EASE(MatrixModel):
    """Item weights B [N, N], zero on the diagonal, that minimise |X - XB|² + l2 |B|²; scores are xB."""

    def __init__(self, l2: float) -> None:
        self.l2 = l2

    def fit(self, likes: "Likes", seed: int = 1, report_progress: ReportProgress = no_report) -> None:
        inverse = _inverse(_gram(likes.matrix, self.l2))
        report_progress(0.9)
        self.weights = _weights(inverse)

    def scores(self, likes: csr_matrix) -> np.ndarray:
        return np.asarray(likes.astype(np.float32) @ self.weights)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.weights = arrays["weights"]


def _strips(size: int) -> list[slice]:
    return [slice(start, min(start + STRIP, size)) for start in range(0, size, STRIP)]


def _gram(likes: csr_matrix, l2: float) -> np.ndarray:
    """XᵀX + l2 I, float64 [N, N]; strip by strip, since a sparse product of that size is larger than the dense one."""
    columns, size = likes.astype(np.float64).tocsc(), likes.shape[1]
    gram = np.empty((size, size))
    for strip in _strips(size):
        gram[strip] = (columns[:, strip].T @ columns).toarray()
    gram[np.diag_indices(size)] += l2
    return gram


def _inverse(gram: np.ndarray) -> np.ndarray:
    """The lower triangle of the inverse of a symmetric positive definite matrix, in its place; the upper triangle is not valid."""
    factor, wrong = lapack.dpotrf(gram.T, lower=1, overwrite_a=1)
    if not wrong:
        inverse, wrong = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if wrong:
        raise ValueError("The matrix of items that are liked together cannot be inverted; choose a larger l2.")
    return inverse


def _weights(inverse: np.ndarray) -> np.ndarray:
    """B = I - P diag(1 / diag P), Steck 2019, section 3.1: float32 [N, N], from the lower triangle of P."""
    size = len(inverse)
    weights, scale = np.empty((size, size), np.float32), -1 / np.diag(inverse)
    for strip in _strips(size):
        corner = np.tril(inverse[strip, strip])
        corner += np.tril(corner, -1).T
        rows = np.hstack([inverse[strip, : strip.start], corner, inverse[strip.stop :, strip].T])
        weights[strip] = rows * scale
    np.fill_diagonal(weights, 0)
    return weights
