"""Loops over looked-up rows of embedding tables on a CPU, compiled by numba.

A key is a row and the place of its gradient in one integer, row << bits | place: sorting the keys, which numpy does with AVX-512, brings
the gradients of each row together. Letters: L lookups, B gradients, R rows, D width.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")
REORDER = {"reassoc", "contract"}  # sums may be vectorised


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code, kept for the next process where there is a folder to keep it in."""
    try:
        cached: Callable[P, R] = numba.njit(cache=True, nogil=True, fastmath=REORDER)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        cached = numba.njit(nogil=True, fastmath=REORDER)(function)
    return cached


def sorted_keys(rows: np.ndarray, bags: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Keys of rows [L] int64, sorted, and their bits. bags: [B] how many neighbouring rows share a gradient; None: each has its own."""
    places = np.arange(len(rows) if bags is None else len(bags))
    bits = len(places).bit_length()
    keys = (rows << bits) | (places if bags is None else np.repeat(places, bags))
    keys.sort()
    return keys, bits


@compiled
def row_wise_adagrad(
    weight: np.ndarray, sums: np.ndarray, keys: np.ndarray, bits: int, gradient: np.ndarray, share: float, rate: float, eps: float
) -> None:
    """One step of Adagrad with one sum of squares a row, in place: what fbgemm documents as EmbOptimType.EXACT_ROWWISE_ADAGRAD.

    Args:
        weight: [R, D] float32. sums: [R] float32, sums of squared gradients so far.
        keys: [L] sorted, of the rows that were looked up, any number of times. gradient: [B, D] float32, by place.
        share: how much of the gradient counts, 1 / ranks for the mean over them.
    """
    mask, width, at = (1 << bits) - 1, gradient.shape[1], 0
    total = np.empty(width, np.float32)
    while at < len(keys):
        row = keys[at] >> bits
        own = gradient[keys[at] & mask]
        for d in range(width):
            total[d] = own[d]
        at += 1
        while at < len(keys) and keys[at] >> bits == row:
            own = gradient[keys[at] & mask]
            for d in range(width):
                total[d] += own[d]
            at += 1
        squares = np.float32(0)
        for d in range(width):
            squares += total[d] * total[d]
        sums[row] += squares * share * share / width
        step = np.float32(rate * share / (np.sqrt(sums[row]) + eps))
        updated = weight[row]
        for d in range(width):
            updated[d] -= step * total[d]
