"""How often each category was met and liked in train, and which items are liked by the same people: without the row that reads it.

A training row that read counts with its own label in them would learn to look it up. So train is cut into FOLDS parts at random, and a
row reads what was counted on the other parts, scaled to the size of the whole (target encoding with cross-fitting: Micci-Barreca, "A
preprocessing scheme for high-cardinality categorical attributes", SIGKDD Explorations 3(1), 2001; Pargent, Pfisterer, Thomas and Bischl,
"Regularized target encoding outperforms traditional methods in supervised machine learning with high cardinality features",
Computational Statistics 37, 2022). Counts without the one row alone would not do: among rows of an item the liked ones then have a count
that is lower by 1, which tells them apart (Prokhorenkova et al., "CatBoost", NeurIPS 2018, section 3.2).

Letters: V values of a vocabulary, K folds, N items, U users.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from workers.artifacts import TRAIN, PreparedDataset
from workers.batches import Columns, Likes, blocks_of, num_rows, of_share
from workers.matrices import ItemKNN
from workers.models import FOLDS

ROWS, LIKED = 0, 1  # columns of a table


class Statistics(NamedTuple):
    """Tables [T, V, 2] by feature: rows of each value, and the share of them that is liked, shrunk to that of all rows.

    Table T - 1 is of all of train, which what was not trained on reads; before it there is one for the rows of each fold.
    """

    tables: Mapping[str, np.ndarray]

    def of(self, feature: str, values: np.ndarray, folds: np.ndarray | None = None) -> np.ndarray:
        """Rows and share liked of some values, float32 [B, 2]; folds: of training rows [B]."""
        table = self.tables[feature]
        return table[-1 if folds is None else folds, values]

    def whole(self) -> "Statistics":
        """Without the tables of folds, as a checkpoint has them."""
        return Statistics({name: table[-1:] for name, table in self.tables.items()})


class Block(NamedTuple):
    """A block of train with the fold of each row."""

    columns: Columns
    rows: int
    folds: np.ndarray  # int64 [rows]


def blocks_with_folds(dataset: PreparedDataset, seed: int, share: float = 1.0) -> Iterator[Block]:
    """The blocks of train, whose rows have the same fold whenever they are read with the same seed; share: of the users."""
    for number, block in enumerate(blocks_of(dataset.folder, TRAIN)):
        columns = dict(of_share(block, share))
        rows = num_rows(columns)
        yield Block(columns, rows, np.random.default_rng((seed, number)).integers(0, FOLDS, rows))


def count(dataset: PreparedDataset, features: Sequence[str], smoothing: float, seed: int, share: float = 1.0) -> Statistics:
    """Count the values of some single-valued features over train.

    Args:
        smoothing: rows of the overall share of likes that are added to those of each value. share: of the users, who are counted.
    """
    sizes = {name: dataset.schema.feature(name).num_rows for name in features}
    sums = {name: np.zeros((2, FOLDS, size), np.float32) for name, size in sizes.items()}
    every = np.zeros((2, FOLDS))
    for block in blocks_with_folds(dataset, seed, share):
        liked = (block.columns["label"] > 0).astype(np.float64)
        every += [np.bincount(block.folds, minlength=FOLDS), np.bincount(block.folds, liked, FOLDS)]
        for name, size in sizes.items():
            at = block.folds * size + block.columns[name]
            for place, weights in ((ROWS, None), (LIKED, liked)):
                sums[name][place] += np.bincount(at, weights, FOLDS * size).reshape(FOLDS, size)
    return Statistics({name: _table(own, every, smoothing) for name, own in sums.items()})


def _table(sums: np.ndarray, every: np.ndarray, smoothing: float) -> np.ndarray:
    """float32 [K + 1, V, 2] of the sums [2, K, V] of one feature and those over all values [2, K]."""
    whole, all_rows = sums.sum(1, keepdims=True), every.sum(1, keepdims=True)
    others, other_rows = np.concatenate([whole - sums, whole], 1), np.concatenate([all_rows - every, all_rows], 1)
    prior = other_rows[LIKED] / np.maximum(other_rows[ROWS], 1)
    shares = (others[LIKED] + smoothing * prior[:, None]) / np.maximum(others[ROWS] + smoothing, 1e-9)
    scale = np.r_[np.full(FOLDS, FOLDS / (FOLDS - 1)), 1.0]
    return np.stack([others[ROWS] * scale[:, None], shares], axis=2).astype(np.float32)


class Neighbours:
    """For each item the items that are liked by the same people most, by cosine.

    Args:
        starts, items, counts: for the item of row r those of places starts[r] to starts[r + 1]: rows of its neighbours, in order, and the
            people who like both. liked: [N + 1] people who like each item; row 0 is the unknown one.
    """

    def __init__(self, starts: np.ndarray, items: np.ndarray, counts: np.ndarray, liked: np.ndarray) -> None:
        self.starts, self.items, self.counts, self.liked = starts, items, counts, liked
        sizes = np.diff(starts)
        self._owners = np.repeat(np.arange(len(sizes)), sizes)
        self._keys = self._owners * len(sizes) + items
        self._scale = 1 / np.sqrt(np.maximum(liked, 1.0))
        self.cosines = (counts * self._scale[self._owners] * self._scale[items]).astype(np.float32)
        self._least = np.zeros(len(sizes), np.float32)  # cosine of the last neighbour that was kept, where others were not
        full = np.flatnonzero(sizes == sizes.max(initial=1))
        if len(full):
            self._least[full] = np.minimum.reduceat(self.cosines, starts[full]) if len(self.cosines) else 0

    @classmethod
    def of(cls, likes: Likes, most: int) -> "Neighbours":
        """The `most` nearest of each item."""
        binary = likes.matrix.copy()
        binary.data = np.ones_like(binary.data)
        liked = np.asarray(binary.sum(0), np.float64).ravel()
        knn = ItemKNN(most, "cosine")
        knn.fit(Likes(binary, likes.counts))
        nearest: csr_matrix = knn.nearest
        owners = np.repeat(np.arange(len(liked)), np.diff(nearest.indptr))
        counts = np.rint(nearest.data * np.sqrt(liked[owners] * liked[nearest.indices]))
        starts = np.r_[0, nearest.indptr]  # row 0 has none
        return cls(starts.astype(np.int64), nearest.indices.astype(np.int64) + 1, counts.astype(np.float32), np.r_[0, liked])

    def pairs(self, first: np.ndarray, second: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cosine of items (rows) with others, float32 [n]; 0 where these are no neighbours.

        Args:
            own: [n] bool, where somebody's like of `second` is left out, who likes `first` too: that of the training row itself.
        """
        at = np.searchsorted(self._keys, keys := first * (len(self.starts) - 1) + second)
        at = np.minimum(at, max(len(self._keys) - 1, 0))
        known = (self._keys[at] == keys) if len(self._keys) else np.zeros(len(keys), bool)
        cosines = np.zeros(len(keys), np.float32)
        cosines[known] = self.cosines[at[known]]
        if (less := np.flatnonzero(known & own)).size:
            left = np.maximum(self.liked[second[less]] - 1, 1)
            without = (self.counts[at[less]] - 1) * self._scale[first[less]] / np.sqrt(left)
            # a pair of others that is no more alike was not kept
            cosines[less] = np.where(without >= self._least[first[less]], without, 0)
        return cosines

    def around(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The neighbours of some items (rows, 1 or more): places in `items` that they belong to, their rows, their cosines."""
        sizes = self.starts[items + 1] - self.starts[items]
        owners, ends = np.repeat(np.arange(len(items)), sizes), np.cumsum(sizes)
        at = np.arange(len(owners)) + np.repeat(self.starts[items] - (ends - sizes), sizes)
        return owners, self.items[at], self.cosines[at]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"starts": self.starts, "items": self.items.astype(np.int32), "counts": self.counts, "liked": self.liked}
