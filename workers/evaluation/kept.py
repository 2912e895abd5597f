"""The scored test rows that a run keeps: all, or of many the same ones in every run. Imports no torch."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from workers.artifacts import spread

SCORED_NUMBERS = 2_000_000  # scores, and outputs, of test rows that are kept at most: 20 MB or so
ROWS_IN_ONE = 1 << 22  # rows of a split that are measured in one process; of more, each rank measures those of its users


def scored_rows(
    users: np.ndarray,
    items: np.ndarray,
    labels: np.ndarray,
    known: np.ndarray,
    scores: np.ndarray,
    outputs: Mapping[str, np.ndarray] = MappingProxyType({}),
    most: int = SCORED_NUMBERS,
) -> pd.DataFrame:
    """Test rows with the score that ranks: user, item (rows of the vocabularies, int32), label, known, score (float32), and `outputs`.

    Sorted by user, item and label, rows alike in them in the order of the dataset, so that two runs' rows stand beside each other.
    Of more than `most` scores and outputs the same rows are kept of every run: those that `row_hashes` puts lowest.

    Args:
        users, items, labels, known, scores: [B], in the order of the dataset.
        outputs: further columns, [B] or [B, O]; of O numbers a row they are lists.
    """
    most //= 1 + sum(column[:1].size for column in outputs.values())
    order = np.lexsort((labels, items, users))
    if len(order) > most:
        places = order if len(order) > ROWS_IN_ONE else None
        hashes = row_hashes(users[order], items[order], places)
        order = order[np.sort(np.argsort(hashes, kind="stable")[:most])]
    columns = {"user": users.astype(np.int32), "item": items.astype(np.int32), "label": labels.astype(np.float32), "known": known}
    columns |= {"score": scores.astype(np.float32)} | {name: column.astype(np.float32) for name, column in outputs.items()}
    return pd.DataFrame({name: column[order] if column.ndim == 1 else list(column[order]) for name, column in columns.items()})


def row_hashes(users: np.ndarray, items: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """A hash of each row that is the same in every run and on any number of ranks: of its user and item, and its place among the rows of
    both, uint64 [B].

    Args:
        users, items: [B] rows of the vocabularies, sorted by user and item.
        places: [B] of each row in its split, which is used in place of that among the rows of both where there is no user: rows of one
            user are on one rank, those without a user are not.
    """
    pairs = (users.astype(np.uint64) << np.uint64(32)) | items.astype(np.uint64)
    first = np.r_[True, pairs[1:] != pairs[:-1]]
    among = np.arange(len(pairs)) - np.flatnonzero(first)[np.cumsum(first) - 1]
    if places is not None:
        among = np.where(users > 0, among, places)
    return spread(spread(pairs) + among.astype(np.uint64))
