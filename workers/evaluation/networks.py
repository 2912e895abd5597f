"""The protocol on a model that is sharded over ranks: all ranks take the same number of lookups, each row counts once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor

from workers.artifacts import FEATURE, TEST, TRAIN, VALID, PreparedDataset, patient
from workers.batches import Columns, blocks_of, join, known_to_train, num_rows, sequences_of, table_columns, take, to_batch
from workers.evaluation.evaluate import DEFAULT, catalogue, describe, pointwise, rank_users, summarise, users_to_rank
from workers.evaluation.lists import facts_of
from workers.evaluation.outputs import evaluate_outputs
from workers.evaluation.rated_sets import SetResults, calibrated, evaluate_sets, has_sets, rated_sets, set_raters
from workers.networks import Batch, Ranker
from workers.specs import ITEM_ID, USER_ID, FeatureSchema, Protocol

ROWS = 4096  # rows encoded or scored at a time
POSITIONS = 1 << 18  # of the likes in order that are encoded at a time
PLACE = "_place"  # of a row in its split: number of its block << 32 + place in it


class ScoredRows(NamedTuple):
    """Rows of a split, in the order of the dataset."""

    logits: np.ndarray  # [B, O] float32
    labels: np.ndarray  # [B] float32
    targets: np.ndarray  # [B], or [B, A] of actions, float32; the labels where the dataset has no target
    known: np.ndarray  # [B] bool, whether train has the user and the item, as far as the dataset has any
    users: np.ndarray  # [B] int32 rows of the vocabularies, 0 unknown or none
    items: np.ndarray  # [B] int32


class NetworkEvaluation(NamedTuple):
    """Metrics and the lists, scores and states behind them. Where nothing can be ranked, `ranked` and `item_states` are empty."""

    metrics: dict[str, float]
    ranked: pd.DataFrame
    item_states: Tensor
    scored: ScoredRows
    preference: np.ndarray  # [B] the score that ranks, of the rows of `scored`
    tables: dict[str, Any]  # for the figures of outputs, of `evaluate_outputs`
    sets: pd.DataFrame | None = None  # of `SetResults`, on test, where sets were rated


def _device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device()) if "nccl" in dist.get_backend() else torch.device("cpu")


def _most(count: int) -> int:
    """The largest count of all ranks."""
    value = torch.tensor([count])
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return int(value)


def _gather(part: np.ndarray) -> np.ndarray:
    """The parts of all ranks, in rank order, on every rank."""
    parts: list[np.ndarray] = [part] * dist.get_world_size()
    dist.all_gather_object(parts, part)
    return np.concatenate(parts)


@torch.no_grad()
def encode(encoder: Callable[[Batch], Tensor], columns: Columns, rows: int, schema: FeatureSchema, most: int = ROWS) -> Tensor:
    """Collective: states of a table's rows, in order, on every rank; each rank looks up a part of them.

    Args:
        encoder: `encode_users` or `encode_items` of a model whose tables may be sharded.
        columns: the table as block columns, the same on all ranks.
        rows: its length. most: rows encoded at a time.
    """
    rank, world = dist.get_rank(), dist.get_world_size()
    own = np.array_split(np.arange(rows), world)[rank]
    steps, parts = -(-_most(len(own)) // most), []
    for step in range(max(1, steps)):
        chunk = own[step * most : (step + 1) * most]
        # a rank without rows left still takes part in the lookup, with one row that is then dropped
        padded = chunk if len(chunk) else np.zeros(1, int)
        parts.append(encoder(to_batch(take(columns, padded), schema, len(padded)).to(_device()))[: len(chunk)].cpu())
    return torch.from_numpy(_gather(torch.cat(parts).numpy()))


def encode_users(model: Ranker, users: pd.DataFrame, dataset: PreparedDataset, split: str) -> Tensor:
    """Collective: the states of some users as they are known before a split, in order, on every rank; of a model that reads order by
    their likes alone.

    Args:
        users: their encoded rows, the same on all ranks.
    """
    if model.order_length:
        return _encode_ordered(model, users[FEATURE + USER_ID].to_numpy(np.int64), dataset, split)
    return encode(model.encode_users, table_columns(users, dataset.schema, "user"), len(users), dataset.schema)


def _encode_ordered(model: Ranker, users: np.ndarray, dataset: PreparedDataset, split: str) -> Tensor:
    """As `encode_users`, of a model that reads nothing but order. users: [U] rows of the vocabulary."""
    columns = sequences_of(dataset, users, model.order_length, split)
    return encode(model.encode_users, columns, len(users), dataset.schema, max(1, min(ROWS, POSITIONS // model.order_length)))


@torch.no_grad()
def score_split(model: Ranker, dataset: PreparedDataset, split: str, item_states: Tensor) -> ScoredRows:
    """Collective: every row of a split, each exactly once and in the order of the dataset, on every rank.

    Args:
        item_states: of the catalogue, for a model that reads order.
    """
    if model.order_length:
        return _score_in_order(model, dataset, split, item_states)
    schema = dataset.schema
    batches = _fixed_batches(_placed_blocks(dataset.folder, split))
    parts: list[tuple[np.ndarray, ...]] = []  # the columns of ScoredRows, and the place of each row
    idle: Batch | None = None
    while True:
        rows = next(batches, None)
        if not _most(rows is not None):
            break
        if rows is None:
            idle = idle or to_batch({}, schema, 1).to(_device())
            model(idle)
            continue
        batch, none = to_batch(rows, schema, num_rows(rows)), np.zeros(num_rows(rows), np.int32)
        logits, known = model(batch.to(_device())).cpu().numpy(), known_to_train(rows, num_rows(rows))
        ids = (rows.get(USER_ID, none), rows.get(ITEM_ID, none))
        parts.append((*ScoredRows(logits, batch.label.numpy(), batch.target.numpy(), known, *ids), rows[PLACE]))
    return _in_order_of_dataset(parts)


def _score_in_order(model: Ranker, dataset: PreparedDataset, split: str, item_states: Tensor) -> ScoredRows:
    """As `score_split`: each user is encoded once, since rows of a user differ in nothing but the item. An unknown item scores 0."""
    own = list(_fixed_batches(_placed_blocks(dataset.folder, split)))
    met = [np.zeros(0, np.int64), *(np.unique(rows[USER_ID]) for rows in own)]
    users = np.unique(_gather(np.concatenate(met)))
    states, parts = _encode_ordered(model, users, dataset, split), list[tuple[np.ndarray, ...]]()
    for rows in own:
        labels, ids = rows["label"].astype(np.float32), (rows[USER_ID], rows[ITEM_ID])
        pairs = states[np.searchsorted(users, ids[0])].to(_device()), item_states[np.maximum(ids[1], 1) - 1].to(_device())
        logits = model.score(*pairs).cpu().numpy() * (ids[1] > 0)[:, None]
        target = rows.get("target", labels).astype(np.float32)
        parts.append((*ScoredRows(logits, labels, target, known_to_train(rows, len(labels)), *ids), rows[PLACE]))
    return _in_order_of_dataset(parts)


def _in_order_of_dataset(parts: list[tuple[np.ndarray, ...]]) -> ScoredRows:
    """Collective: the rows of all ranks. parts: the columns of ScoredRows, and the place of each row."""
    every: list[list[tuple[np.ndarray, ...]]] = [parts] * dist.get_world_size()
    dist.all_gather_object(every, parts)  # a rank without a block has no part, and cannot know the shapes
    *columns, places = (np.concatenate(column) for column in zip(*(part for own in every for part in own), strict=True))
    order = np.argsort(places)
    return ScoredRows(*(column[order] for column in columns))


def _placed_blocks(dataset: Path, split: str) -> Iterator[Columns]:
    """This rank's blocks of a split, with the place of each row in it, so that results do not depend on how many ranks read."""
    rank, world = dist.get_rank(), dist.get_world_size()
    for turn, block in enumerate(blocks_of(dataset, split, rank, world)):
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


@torch.no_grad()
def evaluate_network(
    model: Ranker,
    dataset: PreparedDataset,
    split: str,
    *,
    predicts_label: bool,
    protocol: Protocol = DEFAULT,
    limit: int | None = None,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
) -> NetworkEvaluation:
    """Collective: the whole protocol on one split.

    Args:
        predicts_label: whether the logits predict what the rows hold, so that a log loss or an error means something.
        limit: rank for the first so many users of the sample only.
        report_progress: takes the users ranked so far, and how many there are; called on every rank.
    """
    model.eval()
    schema, folder = dataset.schema, dataset.folder
    items, item_states = pd.DataFrame(), torch.zeros(0)
    if schema.can_rank:
        items = catalogue(folder)
        item_states = encode(model.encode_items, table_columns(items, schema, "item"), len(items), schema)
    scored = score_split(model, dataset, split, item_states)
    preference = model.head.score(torch.from_numpy(scored.logits).to(_device())).cpu().numpy()
    values = pointwise(preference, scored.labels, scored.known, probability=False, users=scored.users)
    tables: dict[str, Any] = {}
    if predicts_label:
        own, tables = evaluate_outputs(dataset.task, scored.logits, scored.labels, scored.targets, scored.known, scored.users)
        values |= own
    ranked, sets = pd.DataFrame(), None
    if schema.can_rank:
        facts = facts_of(items, dataset.num_users)
        users = users_to_rank(folder, split, limit, protocol)
        user_states = encode_users(model, users, dataset, split) if len(users) else torch.zeros(0)
        ranked = describe(_rank(model, users, user_states, item_states, protocol, report_progress), facts)
        values = summarise(ranked, len(items)) | values
        if split == TEST and has_sets(folder):
            rated = _evaluate_sets(model, dataset, item_states)
            values, sets = values | rated.metrics, rated.sets
    model.train()
    return NetworkEvaluation(values, ranked, item_states, scored, preference, tables, sets)


def _rank(
    model: Ranker,
    users: pd.DataFrame,
    user_states: Tensor,
    item_states: Tensor,
    protocol: Protocol,
    report_progress: Callable[[int, int], None],
) -> pd.DataFrame:
    """Collective: rank the catalogue for each user, some on each rank; all of them on every rank."""
    own, device = np.arange(dist.get_rank(), len(users), dist.get_world_size()), _device()
    on_device = item_states.to(device)

    def score(places: np.ndarray) -> np.ndarray:
        report_progress(int(places[0]), len(own))
        return model.score_grid(user_states[own[places]].to(device), on_device).cpu().numpy()

    mine = rank_users(users.iloc[own], len(item_states), score, protocol)
    parts: list[pd.DataFrame] = [mine] * dist.get_world_size()
    dist.all_gather_object(parts, mine, group=patient())  # a slower host may be minutes behind after hours of ranking
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _evaluate_sets(model: Ranker, dataset: PreparedDataset, item_states: Tensor) -> SetResults:
    """Collective: how well the mean score of a set's items predicts its rating on test.

    The least-squares line through the sets of train and valid maps scores to ratings.
    """
    folder = dataset.folder
    (held_out, left_out), (known, _) = rated_sets(folder, TEST), rated_sets(folder, TRAIN, VALID)
    raters = set_raters(folder)
    if held_out.empty:
        return evaluate_sets(held_out, np.zeros(0), None, left_out)
    users = encode_users(model, raters, dataset, TEST)
    scores, known_scores = (set_scores(model, users, item_states, sets) for sets in (held_out, known))
    known_ratings = known["rating"].to_numpy(np.float64)
    return evaluate_sets(held_out, scores, calibrated(known_scores, known_ratings, scores), left_out)


@torch.no_grad()
def set_scores(model: Ranker, users: Tensor, items: Tensor, sets: pd.DataFrame) -> np.ndarray:
    """Mean score of the items of each set that train has, float64 [S].

    Args:
        users, items: states, of the users at the sets' places and of item rows 1, 2, ….
    """
    if sets.empty:
        return np.zeros(0)
    bags = [np.asarray(bag)[np.asarray(bag) > 0] - 1 for bag in sets["items"]]
    sizes = np.array([len(bag) for bag in bags])
    owner, row = np.repeat(sets["place"].to_numpy(np.int64), sizes), np.concatenate(bags).astype(np.int64)
    device = _device()
    parts = [
        model.head.score(model.score(users[owner[at : at + ROWS]].to(device), items[row[at : at + ROWS]].to(device))).cpu().numpy()
        for at in range(0, len(row), ROWS)
    ]
    return np.add.reduceat(np.concatenate(parts).astype(np.float64), np.cumsum(sizes) - sizes) / sizes
