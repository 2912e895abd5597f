"""A share of the users of train, as a learning curve needs it: those of a smaller share are all in every larger one, whatever the seed.

Whether a user is in it follows from a hash of the user's row alone. People whom the vocabulary does not know share row 0, and some data
have no users: of both, rows are taken one by one, by a hash of what they hold.
"""

from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np

from workers.artifacts import SEQUENCES, TRAIN, PreparedDataset, spread
from workers.batches.batches import num_rows, take
from workers.batches.blocks import BLOCK, blocks_of
from workers.specs import ITEM_ID, USER_ID

USERS_AT_ONCE = 1 << 20


class LearnedRows(NamedTuple):
    """What a run learns from."""

    rows: int  # of train
    liked: int  # of them
    by_item: np.ndarray  # float64 [rows of item_id]: how often each item is liked in them; [0] in data without items
    sequences: int = 0  # users with a sequence of likes; 0 where none are stored
    sequence_likes: int = 0  # likes in these

    def numbers(self) -> np.ndarray:
        """All as one array, which ranks can add up: float64."""
        return np.array([self.rows, self.liked, self.sequences, self.sequence_likes, *self.by_item], np.float64)

    @classmethod
    def of_numbers(cls, numbers: np.ndarray) -> "LearnedRows":
        rows, liked, sequences, likes = map(int, numbers[:4])
        return cls(rows, liked, numbers[4:], sequences, likes)


def in_share(block: Mapping[str, np.ndarray], share: float) -> np.ndarray:
    """Whether each row of a block is learned from: bool [B].

    Args:
        block: of train, or of its sequences, with all of its columns. share: of the users, above 0 and up to 1.
    """
    rows = num_rows({name: column for name, column in block.items() if name != BLOCK})
    if share >= 1:
        return np.ones(rows, bool)
    keys = np.zeros(rows, np.uint64) if USER_ID not in block else np.asarray(block[USER_ID]).astype(np.uint64)
    if not keys.all():
        keys = np.where(keys > 0, keys, _content(block, rows))
    return spread(keys) < share * 2.0**64


def of_share(block: Mapping[str, np.ndarray], share: float) -> Mapping[str, np.ndarray]:
    """A block with the rows alone that are learned from; its number stays."""
    if share >= 1:
        return block
    columns = {name: np.asarray(column) for name, column in block.items() if name != BLOCK}
    taken = take(columns, np.flatnonzero(in_share(columns, share)))
    return {**taken, BLOCK: block[BLOCK]} if BLOCK in block else taken


def users_in_share(users: int, share: float) -> int:
    """How many of the users of a vocabulary are in a share."""
    if share >= 1:
        return users
    starts = range(1, users + 1, USERS_AT_ONCE)
    return sum(int(in_share({USER_ID: np.arange(one, min(one + USERS_AT_ONCE, users + 1))}, share).sum()) for one in starts)


def count_learned(dataset: PreparedDataset, share: float, first: int = 0, step: int = 1) -> LearnedRows:
    """What is learned from at a share of the users: counted in every step-th block of train, and of its sequences, from `first` on."""
    rows_of_item = dataset.schema.feature(ITEM_ID).num_rows if dataset.schema.has_items else 0
    rows, liked, by_item, sequences, likes = 0, 0, np.zeros(rows_of_item), 0, 0
    for block in blocks_of(dataset.folder, TRAIN, first, step):
        kept = in_share(block, share)
        positive = kept & (block["label"] > 0)
        rows, liked = rows + int(kept.sum()), liked + int(positive.sum())
        if rows_of_item:
            by_item += np.bincount(block[ITEM_ID][positive], minlength=rows_of_item)
    if "sequences" in dataset.counts:
        for block in blocks_of(dataset.folder, SEQUENCES, first, step):
            kept = in_share(block, share)
            sequences, likes = sequences + int(kept.sum()), likes + int(block[f"{ITEM_ID}.lengths"][kept].sum())
    by_item[:1] = 0  # items that train does not know
    return LearnedRows(rows, liked, by_item, sequences, likes)


def _content(block: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """A hash of the whole numbers that each row holds: uint64 [B]."""
    whole = [np.asarray(block[name]) for name in sorted(block) if name != BLOCK and not name.endswith((".values", ".lengths"))]
    numbers = [column.astype(np.uint64) for column in whole if column.ndim == 1 and np.issubdtype(column.dtype, np.integer)]
    return reduce(lambda key, column: spread(key ^ column), numbers, np.zeros(rows, np.uint64))
