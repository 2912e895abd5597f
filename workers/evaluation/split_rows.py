"""The rows of a split, scored by a model that is sharded over ranks: all take the same number of lookups, each row counts once.

Few rows are measured by every rank. Of many (`kept.ROWS_IN_ONE`) each rank holds and measures those of its users, so that none has
them all. Letters: B rows, O outputs, A actions.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import PreparedDataset
from workers.batches import Columns, blocks_of, join, known_to_train, num_rows, sequences_of, to_batch
from workers.evaluation import kept, ranks
from workers.evaluation.encoding import ROWS, encode_ordered, encode_own, ordered_at_once
from workers.evaluation.over import HERE, Over
from workers.networks import Batch, Ranker
from workers.specs import ITEM_ID, USER_ID

PLACE = "_place"  # of a row in its split: number of its block << 32 + place in it


class ScoredRows(NamedTuple):
    """Rows of a split, in the order of the dataset."""

    logits: np.ndarray  # [B, O] float32
    labels: np.ndarray  # [B] float32
    targets: np.ndarray  # [B], or [B, A] of actions, float32; the labels where the dataset has no target
    known: np.ndarray  # [B] bool, whether train has the user and the item, as far as the dataset has any
    users: np.ndarray  # [B] int32 rows of the vocabularies, 0 unknown or none
    items: np.ndarray  # [B] int32
    places: np.ndarray  # [B] int64 of each in the split, rising


class ScoredSplit(NamedTuple):
    """The rows that this rank measures, and whose they are together."""

    rows: ScoredRows
    over: Over  # rows are all of the split, or those of some users with the others on other ranks


@torch.no_grad()
def score_split(model: Ranker, dataset: PreparedDataset, split: str, item_states: torch.Tensor) -> ScoredSplit:
    """Collective: every row of a split, each exactly once.

    Args:
        item_states: of the catalogue, for a model that reads order.
    """
    if model.order_length:
        return _score_in_order(model, dataset, split, item_states)
    schema = dataset.schema
    batches = _fixed_batches(_placed_blocks(dataset, split))
    parts: list[ScoredRows] = []
    idle: Batch | None = None
    while True:
        rows = next(batches, None)
        if not ranks.most(rows is not None):
            break
        if rows is None:
            idle = idle or to_batch({}, schema, 1).to(ranks.device())
            model(idle)
            continue
        batch = to_batch(rows, schema, num_rows(rows))
        logits = model(batch.to(ranks.device())).cpu().numpy()
        parts.append(_unscored(rows)._replace(logits=logits, targets=batch.target.numpy()))
    return _shared_out(_joined(parts, split))


def _score_in_order(model: Ranker, dataset: PreparedDataset, split: str, item_states: torch.Tensor) -> ScoredSplit:
    """As `score_split`: each user is encoded once, since rows of a user differ in nothing but the item. An unknown item scores 0."""
    rows, over = _shared_out(_joined([_unscored(block) for block in _placed_blocks(dataset, split)], split))
    users = np.unique(rows.users)
    if over is HERE:  # every rank has all rows, so they look up users together
        states = encode_ordered(model, users, dataset, split)
    else:
        columns, every = sequences_of(dataset, users, model.order_length, split), np.arange(len(users))
        states = torch.cat([own for _, own in encode_own(model.encode_users, columns, every, dataset.schema, ordered_at_once(model))])
    logits = [np.zeros((0, model.head.outputs), np.float32)]
    for at in range(0, len(rows.labels), ROWS):
        own, items = np.searchsorted(users, rows.users[at : at + ROWS]), rows.items[at : at + ROWS]
        pairs = states[own].to(ranks.device()), item_states[np.maximum(items, 1) - 1].to(ranks.device())
        logits.append(model.score(*pairs).cpu().numpy() * (items > 0)[:, None])
    return ScoredSplit(rows._replace(logits=np.concatenate(logits)), over)


def kept_rows(scored: ScoredSplit, numbers: int) -> ScoredRows:
    """Collective: the rows that a run keeps, on every rank: all where each rank has them, else the same ones in every run (`row_hashes`).

    Args:
        numbers: scores and outputs of a row, of which there may be `kept.SCORED_NUMBERS`.
    """
    rows = scored.rows
    if scored.over is HERE:
        return rows
    order = np.lexsort((rows.labels, rows.items, rows.users))
    hashes = kept.row_hashes(rows.users[order], rows.items[order], rows.places[order])
    own = order[ranks.lowest(hashes, kept.SCORED_NUMBERS // numbers)]
    return _sorted(ScoredRows(*(ranks.gather(column[own]) for column in rows)))


def _shared_out(rows: ScoredRows) -> ScoredSplit:
    """Collective: few rows, of all ranks, on every rank; of many, those of some users."""
    over = ranks.AllRanks()
    if over.total(len(rows.labels)) <= kept.ROWS_IN_ONE:
        return ScoredSplit(_sorted(ScoredRows(*(ranks.gather(column) for column in rows))), HERE)
    return ScoredSplit(_sorted(ScoredRows(*ranks.by_user(rows.users, rows))), over)


def _sorted(rows: ScoredRows) -> ScoredRows:
    """In the order of the dataset."""
    order = np.argsort(rows.places)
    return ScoredRows(*(column[order] for column in rows))


def _joined(parts: list[ScoredRows], split: str) -> ScoredRows:
    """Collective: the rows of this rank's blocks, with their places among the rows of the split; ValueError where no rank has any."""
    blanks: list[ScoredRows | None] = [None] * dist.get_world_size()
    dist.all_gather_object(blanks, ScoredRows(*(column[:0] for column in parts[0])) if parts else None)
    blank = next((one for one in blanks if one is not None), None)  # a rank without a block cannot know the shapes
    if blank is None:
        raise ValueError(f"The split {split} has no rows; prepare the dataset with a larger share for it.")
    rows = ScoredRows(*(np.concatenate(column) for column in zip(blank, *parts, strict=True)))
    block, within = rows.places >> 32, rows.places & 0xFFFFFFFF
    blocks = ranks.most(int(block.max()) + 1 if len(block) else 0)
    sizes = ranks.AllRanks().total(np.bincount(block, minlength=blocks).astype(np.float64)).astype(np.int64)
    return rows._replace(places=(np.cumsum(sizes) - sizes)[block] + within)


def _unscored(rows: Columns) -> ScoredRows:
    """Rows of blocks, with logits still to come."""
    count, labels = num_rows(rows), rows["label"].astype(np.float32)
    none, nothing = np.zeros(count, np.int32), np.zeros((count, 0), np.float32)
    users, items = rows.get(USER_ID, none), rows.get(ITEM_ID, none)
    return ScoredRows(
        nothing, labels, rows.get("target", labels).astype(np.float32), known_to_train(rows, count), users, items, rows[PLACE]
    )


def _placed_blocks(dataset: PreparedDataset, split: str) -> Iterator[Columns]:
    """This rank's blocks of a split, with the place of each row in it, so that results do not depend on how many ranks read."""
    rank, world = dist.get_rank(), dist.get_world_size()
    for turn, block in enumerate(blocks_of(dataset.folder, split, rank, world)):
        yield block | {PLACE: ((rank + turn * world) << 32) + np.arange(num_rows(block))}


def _fixed_batches(blocks: Iterator[Columns]) -> Iterator[Columns]:
    left: list[Columns] = []
    for block in blocks:
        left.append(block)
        if sum(map(num_rows, left)) >= ROWS:
            yield join(left)
            left = []
    if left:
        yield join(left)
