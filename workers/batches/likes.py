"""Who liked what, as a sparse matrix, and the rows of a split that are scored pair by pair: read from blocks, one at a time."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from workers.artifacts import TRAIN, PreparedDataset
from workers.batches.blocks import blocks_of, known_to_train, sequence_blocks
from workers.batches.shares import in_share, of_share
from workers.specs import ITEM_ID, USER_ID


class Likes(NamedTuple):
    """Who liked what, of the users and items of train. Letters: U users, N items."""

    # [U + 1, N] float32: row of the user (0, the unknown user, is empty), item row - 1; weights add up. In order of time: each like apart,
    # the oldest first, with a weight of 1
    matrix: csr_matrix
    counts: np.ndarray  # [N] int64: liked rows of each item, whatever their weights
    unknown: int = 0  # liked rows that are left out, since train does not know their user or item


class SplitRows(NamedTuple):
    """Rows of a split [B]: user and item rows int32 (0 unknown), labels float32, and whether train has both, bool."""

    users: np.ndarray
    items: np.ndarray
    labels: np.ndarray
    known: np.ndarray


def read_likes(dataset: PreparedDataset, in_order: bool = False, share: float = 1.0, splits: Sequence[str] = (TRAIN,)) -> Likes:
    """The liked rows of train, block by block; in order of time as far as sequences hold them. ValueError when there is none.

    Args:
        in_order: for a model that reads order, which the dataset must suit (`ModelSpec.refusal`).
        share: of the users, whose likes alone are read (`in_share`).
        splits: whose likes are read: `PreparedDataset.known`.
    """
    if in_order:
        return _read_sequences(dataset, share, splits)
    parts = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))]
    unknown = 0
    for block in chain.from_iterable(blocks_of(dataset.folder, split) for split in splits):
        liked = (block["label"] > 0) & in_share(block, share)
        known = liked & known_to_train(block, len(liked))
        unknown += int(liked.sum() - known.sum())
        weight = block["weight"][known] if "weight" in block else np.ones(int(known.sum()), np.float32)
        parts.append((block[USER_ID][known], block[ITEM_ID][known], weight))
    users, items, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(users) == 0 and share < 1:
        raise ValueError(f"user_share is {share:g}, and these users like nothing in train; choose a larger share.")
    if len(users) == 0:
        raise ValueError("Nothing in train is liked, so there is nothing to fit; choose another rule for what counts as liked.")
    shape = (dataset.num_users + 1, dataset.schema.feature(ITEM_ID).num_rows - 1)
    matrix = coo_matrix((weights, (users, items - 1)), shape).tocsr()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return Likes(matrix, np.bincount(items - 1, minlength=shape[1]), unknown)


def _read_sequences(dataset: PreparedDataset, share: float, splits: Sequence[str]) -> Likes:
    """8 bytes a like in memory at most, as without order."""
    none = np.zeros(0, np.int32)
    parts = [(none, none, none)]
    for whole in sequence_blocks(dataset.folder, splits):
        block = of_share(whole, share)
        parts.append((block[USER_ID], block[f"{ITEM_ID}.lengths"], block[f"{ITEM_ID}.values"]))
    users, lengths, items = (np.concatenate(column) for column in zip(*parts, strict=True))
    shape = (dataset.num_users + 1, dataset.schema.feature(ITEM_ID).num_rows - 1)
    order = np.argsort(users, kind="stable")  # blocks have users in random order; of a user the sequence of train comes first
    starts, users, lengths = (np.cumsum(lengths) - lengths)[order], users[order], lengths[order]
    ends = np.cumsum(lengths)
    items = items[np.repeat(starts - ends + lengths, lengths) + np.arange(len(items))] - 1
    sizes = np.bincount(np.repeat(users, lengths), minlength=shape[0])
    if most := dataset.schema.sequence:
        newest = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(items)) <= most
        items, sizes = items[newest], np.minimum(sizes, most)
    matrix = csr_matrix((np.ones(len(items), np.float32), items, np.concatenate([[0], np.cumsum(sizes)])), shape)
    return Likes(matrix, np.bincount(items, minlength=shape[1]))


def read_rows(dataset: Path, split: str) -> SplitRows:
    """Every row of a split, each once."""
    parts = [SplitRows(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, bool))]
    for block in blocks_of(dataset, split):
        parts.append(SplitRows(block[USER_ID], block[ITEM_ID], block["label"], known_to_train(block, len(block["label"]))))
    return SplitRows(*(np.concatenate(column) for column in zip(*parts, strict=True)))
