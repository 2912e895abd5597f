"""The protocol on a model that is sharded over ranks."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor

from workers.artifacts import TEST, TRAIN, VALID, PreparedDataset, patient
from workers.batches import table_columns
from workers.evaluation import ranks
from workers.evaluation.encoding import ROWS, encode, encode_users
from workers.evaluation.evaluate import DEFAULT, catalogue, describe, pointwise, summarise, users_to_rank
from workers.evaluation.lists import facts_of
from workers.evaluation.outputs import known_rows, output_metrics, output_tables
from workers.evaluation.ranking import rank_users
from workers.evaluation.rated_sets import SetResults, calibrated, evaluate_sets, has_sets, rated_sets, set_raters
from workers.evaluation.split_rows import ScoredRows, ScoredSplit, kept_rows, score_split
from workers.networks import Ranker
from workers.specs import Protocol, Task


class NetworkEvaluation(NamedTuple):
    """Metrics and the lists, scores and states behind them. Where nothing can be ranked, `ranked` and `item_states` are empty."""

    metrics: dict[str, float]
    ranked: pd.DataFrame
    item_states: Tensor
    scored: ScoredRows  # all, or of many those that are kept (`kept_rows`)
    preference: np.ndarray  # [B] the score that ranks, of the rows of `scored`
    tables: dict[str, Any]  # for the figures of outputs, of `evaluate_outputs`
    sets: pd.DataFrame | None = None  # of `SetResults`, on test, where sets were rated


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
    measured = score_split(model, dataset, split, item_states)
    values, scored, tables = _measure_rows(model, dataset.task, measured, predicts_label)
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
    return NetworkEvaluation(values, ranked, item_states, scored, _preference(model, scored), tables, sets)


def _measure_rows(
    model: Ranker, task: Task, split: ScoredSplit, predicts_label: bool
) -> tuple[dict[str, float], ScoredRows, dict[str, Any]]:
    """Collective: metrics over all rows of a split, the rows of it that are kept, and the tables of figures, over those."""
    rows, over = split
    outputs = 0 if task.output == "binary" else rows.logits.shape[1] + math.prod(rows.targets.shape[1:])
    scored = kept_rows(split, 1 + outputs)
    values = pointwise(_preference(model, rows), rows.labels, rows.known, probability=False, users=rows.users, over=over)
    if not predicts_label:
        return values, scored, {}
    measured = known_rows(task, rows.logits, rows.labels, rows.targets, rows.known, rows.users, over)
    values |= output_metrics(measured)
    if scored is not rows:
        measured = known_rows(task, scored.logits, scored.labels, scored.targets, scored.known, scored.users)
    return values, scored, output_tables(measured)


def _preference(model: Ranker, rows: ScoredRows) -> np.ndarray:
    """The score that ranks, [B]."""
    return np.asarray(model.head.score(torch.from_numpy(rows.logits).to(ranks.device())).cpu().numpy())


def _rank(
    model: Ranker,
    users: pd.DataFrame,
    user_states: Tensor,
    item_states: Tensor,
    protocol: Protocol,
    report_progress: Callable[[int, int], None],
) -> pd.DataFrame:
    """Collective: rank the catalogue for each user, some on each rank; all of them on every rank."""
    own, device = np.arange(dist.get_rank(), len(users), dist.get_world_size()), ranks.device()
    on_device = item_states.to(device)

    def score(places: np.ndarray) -> Tensor:
        report_progress(int(places[0]), len(own))
        return model.score_grid(user_states[own[places]].to(device), on_device)

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
    device = ranks.device()
    parts = [
        model.head.score(model.score(users[owner[at : at + ROWS]].to(device), items[row[at : at + ROWS]].to(device))).cpu().numpy()
        for at in range(0, len(row), ROWS)
    ]
    return np.add.reduceat(np.concatenate(parts).astype(np.float64), np.cumsum(sizes) - sizes) / sizes
