"""The training rows of trees as a matrix on disk, written block by block: rows of the data, or likes each with items drawn beside them.

Letters: B rows, M drawn items, F features, N items.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workers.artifacts import TRAIN, PreparedDataset
from workers.batches import Likes, blocks_of, known_to_train, num_rows, of_share, table_columns, take, to_batch
from workers.boosting.features import Features
from workers.boosting.statistics import Block, blocks_with_folds
from workers.models import FOLDS, MOST_IN_GROUP, LightGBMSpec
from workers.networks import proposal
from workers.specs import USER_ID

REDRAWN = 5  # times that a drawn item is drawn again where the user likes it
REPORT = Callable[[int, int], None]  # takes rows written so far, and all of them


class Rows(NamedTuple):
    """Rows to learn from. Those of a group follow each other."""

    matrix: np.ndarray  # float32 [B, F]: a map of a file
    target: np.ndarray  # float32 [B]
    weight: np.ndarray | None  # float32 [B]; None: 1 each
    groups: np.ndarray | None  # int64, rows of each group; None without groups
    used: int  # rows of train among them
    of: int  # rows of train that could have been


class _Plan(NamedTuple):
    """Which rows of train are used, and where they go."""

    taken: np.ndarray  # bool [rows of train]
    place: np.ndarray  # int64 [taken], of each in the matrix, in units of 1 + M rows
    of: int
    groups: np.ndarray | None


def read_rows_of_trees(
    dataset: PreparedDataset,
    spec: LightGBMSpec,
    features: Features,
    likes: Likes | None,
    items: pd.DataFrame,
    folder: Path,
    seed: int,
    report_progress: REPORT = lambda done, total: None,
    share: float = 1.0,
) -> Rows:
    """Write the matrix to `folder` and map it.

    Args:
        likes: of train; None where the dataset has no users or no items. items: the catalogue; empty likewise.
        share: of the users, whose rows are read.

    Raises:
        ValueError: there is no row to learn from.
    """
    drawn = spec.num_negatives if spec.learns_choice else 0
    plan = _plan(dataset, spec, 1 + drawn, share)
    used, each = int(plan.taken.sum()), 1 + drawn
    matrix = np.memmap(folder / "matrix", np.float32, "w+", shape=(used * each, len(features.names)))
    target, weight = np.zeros(used * each, np.float32), np.ones(used * each, np.float32)
    rng = np.random.default_rng((seed, 1))
    draws = _Draws(spec, features, likes, items, rng) if drawn and likes is not None else None
    done, weighted = 0, draws is not None
    for block, taken in _taken(dataset, plan.taken, seed, share):
        users, of_items, own = _states(features, block, likes)
        at = plan.place[done : done + len(taken)] * each
        columns, liked = block.columns, block.columns["label"] > 0
        matrix[at] = features.matrix(users[taken], of_items[taken], own[taken])
        target[at] = _target(spec, dataset, columns)[taken]
        if "weight" in columns:
            weighted = True
            weight[at] = columns["weight"][taken]
        if draws is not None:
            assert liked[taken].all()
            for k in range(1, each):
                states, fresh = draws(columns[USER_ID][taken], block.folds[taken])
                matrix[at + k] = features.matrix(users[taken], states)
                weight[at + k] = weight[at] * fresh
        done += len(taken)
        report_progress(done, used)
    matrix.flush()
    return Rows(matrix, target, weight if weighted else None, plan.groups, used, plan.of)


def _plan(dataset: PreparedDataset, spec: LightGBMSpec, each: int, share: float) -> _Plan:
    """Blocks were shuffled as a whole when they were written, so that the first rows are a random part."""
    usable, users = [np.zeros(0, bool)], [np.zeros(0, np.int32)]
    grouped = spec.chosen_objective == "lambdamart"
    for whole in blocks_of(dataset.folder, TRAIN):
        block = of_share(whole, share)
        rows = num_rows(block)
        own = block.get(USER_ID, np.zeros(rows, np.int32))
        known = known_to_train(block, rows) & (block["label"] > 0) if spec.learns_choice else np.ones(rows, bool)
        usable.append(known & (own > 0) if grouped else known)
        users.append(own)
    candidates, owners = np.concatenate(usable), np.concatenate(users)
    taken = candidates & (np.cumsum(candidates) <= spec.most_rows_read)
    if not taken.any():
        raise ValueError("Train has no row to learn from; prepare more data, or another rule for what is liked.")
    place, groups = np.arange(int(taken.sum())), None
    if grouped:
        order = np.argsort(owners[taken], kind="stable")
        place[order] = np.arange(len(order))
        groups = _groups(np.unique(owners[taken], return_counts=True)[1], each)
    return _Plan(taken, place, int(candidates.sum()), groups)


def _groups(counts: np.ndarray, each: int) -> np.ndarray:
    """Sizes of groups in rows of the matrix: a user's rows, in as few parts of about the same size as LightGBM takes.

    Args:
        counts: rows of train of each user, each of which has `each` rows in the matrix.
    """
    most = max(1, MOST_IN_GROUP // each)
    parts = -(-counts // most)
    owner = np.repeat(np.arange(len(counts)), parts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
    sizes = counts[owner] // parts[owner] + (place < counts[owner] % parts[owner])
    return sizes * each


def _taken(dataset: PreparedDataset, taken: np.ndarray, seed: int, share: float) -> Iterator[tuple[Block, np.ndarray]]:
    """The blocks with rows that are used, and the places of these."""
    start = 0
    for block in blocks_with_folds(dataset, seed, share):
        own = np.flatnonzero(taken[start : start + block.rows])
        start += block.rows
        if len(own):
            yield block, own


def _states(features: Features, block: Block, likes: Likes | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States of the users and of the items of a block, and which rows are a like of their user that counts of likes hold."""
    batch = to_batch(block.columns, features.schema, block.rows)
    users, items = features.users(batch, block.folds), features.items(batch, block.folds)
    own = np.zeros(block.rows, bool)
    if likes is not None and features.length:
        own = (block.columns["label"] > 0) & known_to_train(block.columns, block.rows)
    return users, items, own


def _target(spec: LightGBMSpec, dataset: PreparedDataset, columns: dict[str, np.ndarray]) -> np.ndarray:
    if spec.predicts_label and dataset.task.output != "binary":
        return columns["target"]
    return (columns["label"] > 0).astype(np.float32)


class _Draws:
    """Items drawn from the catalogue for users: their states, and whether each is new to its user (else it is no negative)."""

    def __init__(self, spec: LightGBMSpec, features: Features, likes: Likes, items: pd.DataFrame, rng: np.random.Generator) -> None:
        import torch

        self.rng, self.items = rng, len(items)
        columns = table_columns(items, features.schema, "item")
        batch = to_batch(columns, features.schema, self.items)
        self.states = np.stack([features.items(batch, np.full(self.items, fold)) for fold in range(FOLDS)])  # [K, N, S']
        draw = spec.negatives if spec.negatives != "none" else "uniform"
        self.cumulated = proposal(draw, torch.from_numpy(likes.counts)).cumsum(0).numpy()
        sizes = np.diff(likes.matrix.indptr)
        self.liked = np.repeat(np.arange(len(sizes)), sizes) * self.items + likes.matrix.indices  # sorted

    def __call__(self, users: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States [B, S'] by the statistics of each row's fold, and bool [B]."""
        drawn = self._draw(len(users))
        for _ in range(REDRAWN):
            known = np.flatnonzero(self._likes(users, drawn))
            if not len(known):
                break
            drawn[known] = self._draw(len(known))
        return self.states[folds, drawn], ~self._likes(users, drawn)

    def _draw(self, count: int) -> np.ndarray:
        return np.minimum(np.searchsorted(self.cumulated, self.rng.random(count)), self.items - 1)

    def _likes(self, users: np.ndarray, places: np.ndarray) -> np.ndarray:
        keys = users.astype(np.int64) * self.items + places
        at = np.minimum(np.searchsorted(self.liked, keys), len(self.liked) - 1)
        return self.liked[at] == keys


class Judged(NamedTuple):
    """Rows of a split by which predictions are judged, [B] each."""

    label: np.ndarray  # float32
    target: np.ndarray  # float32; the label where the dataset has no target
    known: np.ndarray  # bool, whether train has the user and the item


def rows_of(dataset: PreparedDataset, features: Features, split: str, most: int) -> tuple[np.ndarray, Judged]:
    """The first rows of a split, which was not trained on: the matrix [B, F], and what they hold."""
    parts, left = [np.zeros((0, len(features.names)), np.float32)], most
    held = [Judged(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, bool))]
    for block in blocks_of(dataset.folder, split):
        columns = take(block, np.arange(min(left, num_rows(block))))
        rows = num_rows(columns)
        batch = to_batch(columns, features.schema, rows)
        parts.append(features.matrix(features.users(batch), features.items(batch)))
        label = columns["label"].astype(np.float32)
        held.append(Judged(label, columns.get("target", label), known_to_train(columns, rows)))
        left -= rows
        if left <= 0:
            break
    if held[1:] and held[1].target.ndim > 1:  # several actions, which are not predicted
        held = [one._replace(target=one.label) for one in held]
    return np.concatenate(parts), Judged(*(np.concatenate(column) for column in zip(*held, strict=True)))
