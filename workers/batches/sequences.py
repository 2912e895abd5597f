"""Likes in order of time as a network reads them: sequences that a rank trains on, and those of people who are scored.

A sequence begins with row 0 in place of an item, which stands before everybody's first like. Letters: S sequences, P positions of all.
"""

import numpy as np
import torch

from workers.artifacts import TEST, PreparedDataset
from workers.batches.batches import SEQUENCE, Columns, to_batch
from workers.batches.blocks import sequence_blocks
from workers.networks import Batch, Order
from workers.specs import ITEM_ID, USER_ID, FeatureSchema

VALUES, LENGTHS = f"{SEQUENCE}.values", f"{SEQUENCE}.lengths"


def newest(items: np.ndarray, lengths: np.ndarray, most: int) -> Columns:
    """Whole sequences as columns of people who are scored: row 0 before each, and of that the newest `most`.

    Args:
        items: rows of the likes, one sequence after another. lengths: [S] likes of each, which may be 0.
    """
    kept = np.minimum(lengths + 1, most)
    ends, kept_ends = np.cumsum(lengths), np.cumsum(kept)
    back = np.repeat(kept_ends, kept) - np.arange(kept.sum())  # 1 for the newest
    before_first = back > np.repeat(lengths, kept)
    places = np.repeat(ends, kept) - back
    values = np.zeros(len(places), np.int64)
    values[~before_first] = items[places[~before_first]]
    return {VALUES: values, LENGTHS: kept.astype(np.int64)}


def sequences_of(dataset: PreparedDataset, users: np.ndarray, most: int, split: str = TEST) -> Columns:
    """The sequences of some users as they are known before a split, of each the newest `most` positions, as columns of [S] rows.

    Memory holds these alone, whatever the dataset has. Users without likes, and unknown ones, have row 0 alone.

    Args:
        users: [S] rows of the vocabulary, 0 unknown; a user may be there several times.
    """
    wanted, place = np.unique(users, return_inverse=True)
    likes: list[np.ndarray] = [np.zeros(0, np.int32)] * len(wanted)
    held = min(most, dataset.schema.sequence or most)
    for block in sequence_blocks(dataset.folder, dataset.known(split)):
        ends = np.cumsum(block[f"{ITEM_ID}.lengths"])
        at = np.minimum(np.searchsorted(wanted, block[USER_ID]), len(wanted) - 1)
        for own in np.flatnonzero(wanted[at] == block[USER_ID]) if len(wanted) else ():
            end, length = int(ends[own]), int(block[f"{ITEM_ID}.lengths"][own])
            newer = block[f"{ITEM_ID}.values"][end - min(length, held) : end]
            likes[at[own]] = np.concatenate([likes[at[own]], newer])[-held:]
    own_likes = [likes[one] for one in place]
    return newest(np.concatenate([np.zeros(0, np.int32), *own_likes]), np.array([len(one) for one in own_likes], np.int64), most)


def to_targets(columns: Columns, rng: np.random.Generator, *, schema: FeatureSchema, most: int) -> Batch:
    """A step's sequences as its rows: each like is the target of the likes before it; of a longer sequence, `most` in a row at random.

    Args:
        columns: of S sequences, as the blocks of sequences have them.
    """
    items, lengths = columns[f"{ITEM_ID}.values"], columns[f"{ITEM_ID}.lengths"].astype(np.int64)
    starts, kept = np.cumsum(lengths) - lengths, np.minimum(lengths, most)
    first = starts + rng.integers(0, lengths - kept + 1)
    places = np.repeat(first - (np.cumsum(kept) - kept), kept) + np.arange(kept.sum())
    before = np.where(places == np.repeat(starts, kept), 0, items[places - 1])
    rows = len(places)
    batch = to_batch({ITEM_ID: items[places], "label": np.ones(rows, np.float32)}, schema, rows)
    return batch._replace(order=Order(torch.from_numpy(before.astype(np.int64)), torch.from_numpy(kept)))
