"""Sparse matrices of items by items."""

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix


def largest(entries: coo_matrix, most: int) -> csr_matrix:
    """The `most` largest entries of each row, of equal ones the first in the given order: float32 of the same shape, sorted by column."""
    order = np.lexsort((-entries.data, entries.row))
    sizes = np.bincount(entries.row, minlength=entries.shape[0])
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    top = order[place < most]
    kept = csr_matrix((entries.data[top].astype(np.float32), (entries.row[top], entries.col[top])), entries.shape)
    kept.sort_indices()
    return kept
