"""The numbers that trees read of a user, of an item and of both together, with names for people.

A state of a user or an item is a row of its own numbers, followed by what numbers of both are made of: the history, and the item's row.
The length of a history is no number of its own, since a liked row's own item is not in its history: within a user, a history that is
shorter by one would tell which rows are liked. How much a user likes is counted on other rows instead (`statistics`).

Letters: B rows, U users, N items, V values, L likes of a history.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from workers.boosting.statistics import Neighbours, Statistics
from workers.models import MANY, LightGBMSpec
from workers.networks import Batch
from workers.specs import HISTORY, ITEM_ID, USER_ID, Categorical, FeatureSchema

NEWEST = 5  # likes of a history that count as recent
GROUP_NAMES = {USER_ID: "user", ITEM_ID: "item"}
OF_HISTORY = "similarity to the history"
SIMILAR = (f"{OF_HISTORY}: sum", f"{OF_HISTORY}: mean", f"{OF_HISTORY}: best", "similarity to the newest likes")


class Side(NamedTuple):
    """The numbers of one side: their names, the places of those that are categories, and the features that they are made of."""

    names: tuple[str, ...]
    categories: tuple[int, ...]
    features: tuple[Categorical, ...]
    dense: tuple[int, ...]


class Features:
    """What trees read of a dataset.

    Args:
        values: names of the values of bags by feature, of as many as there are; row r is at place r.
        shared: by feature of items with few values, which of them each item has: uint8 [N + 1, V], row 0 being the unknown item.
    """

    def __init__(
        self,
        spec: LightGBMSpec,
        schema: FeatureSchema,
        statistics: Statistics,
        neighbours: Neighbours | None,
        shared: Mapping[str, np.ndarray],
        values: Mapping[str, list[str]],
    ) -> None:
        self.schema, self.statistics, self.neighbours, self.shared, self.values = schema, statistics, neighbours, shared, values
        self.length = spec.history_length if reads_history(spec, schema) else 0
        self.unread = {HISTORY, *spec.without}
        self.user, self.item = self._side("user", "context"), self._side("item")
        pairs = (*(SIMILAR if self.neighbours else ()), *(f"{name}: share of the history" for name in shared)) if self.length else ()
        self.names = (*self.user.names, *self.item.names, *pairs)
        first = len(self.user.names)
        self.categories = [*self.user.categories, *(first + place for place in self.item.categories)]
        self._shares = {name: _shares(table) for name, table in shared.items()} if self.length else {}

    def _side(self, *sides: str) -> Side:
        features = tuple(f for f in self.schema.categorical if f.side in sides and f.name not in self.unread)
        own = self.schema.dense_on(*sides)  # type: ignore[arg-type]
        dense = tuple(place for place in own if self.schema.dense[place].name not in self.unread)
        names, categories = [self.schema.dense[place].name for place in dense], list[int]()
        for feature in features:
            if is_category(feature):
                categories.append(len(names))
            names += self._names(feature)
        return Side(tuple(names), tuple(categories), features, dense)

    def _names(self, feature: Categorical) -> list[str]:
        name = GROUP_NAMES.get(feature.name, feature.name)
        if feature.multi_valued and feature.num_rows <= MANY:
            known = self.values.get(feature.name, [])
            return [f"{name}: {known[row] if row < len(known) else row}" for row in range(1, feature.num_rows)]
        if feature.multi_valued:
            return [f"{name}: number of values"]
        return [name] if is_category(feature) else [f"{name}: rows in train", f"{name}: share liked"]

    def users(self, batch: Batch, folds: np.ndarray | None = None) -> np.ndarray:
        """States of users with their context: float64 [B, numbers + L]. folds: of training rows."""
        parts = self._numbers(self.user, batch, folds)
        if self.length:
            parts.append(self._history(batch))
        return np.concatenate([np.zeros((len(batch.label), 0)), *parts], axis=1, dtype=np.float64)

    def items(self, batch: Batch, folds: np.ndarray | None = None) -> np.ndarray:
        """States of items: float64 [B, numbers + 1], the last being the item's row, 0 where there is none."""
        rows = batch.sparse[ITEM_ID].values().numpy() if self.schema.has_items and len(batch.sparse[ITEM_ID].values()) else None
        row = np.zeros(len(batch.label)) if rows is None else rows
        return np.concatenate([*self._numbers(self.item, batch, folds), row[:, None]], axis=1, dtype=np.float64)

    def _numbers(self, side: Side, batch: Batch, folds: np.ndarray | None) -> list[np.ndarray]:
        rows = len(batch.label)
        parts = [batch.dense.numpy()[:, list(side.dense)]]
        for feature in side.features:
            bag = batch.sparse[feature.name]
            values, lengths = bag.values().numpy(), bag.lengths().numpy()
            if feature.multi_valued and feature.num_rows <= MANY:
                held = np.zeros((rows, feature.num_rows), np.float32)
                held[np.repeat(np.arange(rows), lengths), values] = 1
                parts.append(held[:, 1:])
            elif feature.multi_valued:
                parts.append(lengths[:, None])
            else:
                single = values if len(values) == rows else np.zeros(rows, np.int64)  # the unknown one
                parts.append(single[:, None] if is_category(feature) else self.statistics.of(feature.name, single, folds))
        return parts

    def _history(self, batch: Batch) -> np.ndarray:
        """The newest likes of each row at the end, 0 before them where there are fewer: int64 [B, L]."""
        bag = batch.sparse[HISTORY]
        values, lengths = bag.values().numpy(), bag.lengths().numpy().astype(np.int64)
        owners = np.repeat(np.arange(len(lengths)), lengths)
        from_end = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(values))  # 1 for the newest
        kept = from_end <= self.length
        history = np.zeros((len(lengths), self.length), np.int64)
        history[owners[kept], self.length - from_end[kept]] = values[kept]
        return history

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of a user and of an item, in the states of both."""
        return len(self.user.names), len(self.item.names)

    def matrix(self, users: np.ndarray, items: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
        """The numbers of pairs, float32 [B, names].

        Args:
            users, items: states [B, S], [B, S'].
            own: [B] bool, training rows that are a like themselves, which is left out of what they read; None: no row is.
        """
        of_user, of_item = self.widths
        parts = [users[:, :of_user], items[:, :of_item]]
        if self.length:
            history, rows = users[:, of_user:].astype(np.int64), items[:, -1].astype(np.int64)
            if self.neighbours:
                parts.append(_similar(self.neighbours, history, rows, np.zeros(len(rows), bool) if own is None else own))
            parts += [_overlap(table, self._shares[name], history, rows) for name, table in self.shared.items()]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def grid(self, user: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The numbers of one user [S] with many items [N, S'], float32 [N, names]: as `matrix`, without a look-up for each pair."""
        of_user, of_item = self.widths
        parts = [np.broadcast_to(user[:of_user], (len(items), of_user)), items[:, :of_item]]
        if self.length:
            history, rows = user[of_user:].astype(np.int64), items[:, -1].astype(np.int64)
            if self.neighbours:
                parts.append(_similar_to_all(self.neighbours, history)[rows])
            liked = history[history > 0]
            for name, table in self.shared.items():
                profile = table[liked].sum(0) / max(len(liked), 1)
                parts.append((self._shares[name][rows] @ profile)[:, None])
        return np.concatenate(parts, axis=1, dtype=np.float32)


def is_category(feature: Categorical) -> bool:
    """Whether trees read it as a category; else by how often its value was met and liked."""
    return not feature.multi_valued and feature.num_rows <= MANY and feature.name not in (USER_ID, ITEM_ID)


def counted(spec: LightGBMSpec, schema: FeatureSchema) -> list[str]:
    """The features of which trees read how often their value was met and liked."""
    single = [f for f in schema.categorical if not f.multi_valued and not is_category(f)]
    return [f.name for f in single if f.name not in spec.without]


def reads_history(spec: LightGBMSpec, schema: FeatureSchema) -> bool:
    return spec.history and schema.has_history and HISTORY not in spec.without


def _shares(held: np.ndarray) -> np.ndarray:
    """1 / n for each of the n values of an item: float32 [N + 1, V]."""
    return held / np.maximum(held.sum(1, keepdims=True), 1, dtype=np.float32)


def _similar(neighbours: Neighbours, history: np.ndarray, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Sum, mean and maximum of the cosines of each item with its history, and the sum over the newest: float32 [B, 4]."""
    cosines, (at, place) = np.zeros(history.shape, np.float32), np.nonzero(history)
    cosines[at, place] = neighbours.pairs(history[at, place], rows[at], own[at])
    sums, lengths = cosines.sum(1), (history > 0).sum(1)
    return np.stack([sums, sums / np.maximum(lengths, 1), cosines.max(1), cosines[:, -NEWEST:].sum(1)], axis=1)


def _similar_to_all(neighbours: Neighbours, history: np.ndarray) -> np.ndarray:
    """As `_similar`, of one history [L] with the item of every row: float32 [N + 1, 4]."""
    liked, size = history[history > 0], len(neighbours.liked)
    owners, items, cosines = neighbours.around(liked)
    best, recent = np.zeros(size, np.float32), owners >= len(liked) - NEWEST
    np.maximum.at(best, items, cosines)
    sums = np.bincount(items, cosines, size)
    return np.stack([sums, sums / max(len(liked), 1), best, np.bincount(items[recent], cosines[recent], size)], axis=1, dtype=np.float32)


def _overlap(held: np.ndarray, shares: np.ndarray, history: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mean over an item's values of the share of its history that has them: float32 [B, 1]."""
    lengths, liked = (history > 0).sum(1), history[history > 0]
    bags = csr_matrix((np.ones(len(liked), np.float32), liked, np.r_[0, np.cumsum(lengths)]), (len(rows), len(held)))
    profile = np.asarray(bags @ held.astype(np.float32))
    return (profile * shares[rows]).sum(1, keepdims=True) / np.maximum(lengths[:, None], 1)
