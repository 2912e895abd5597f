"""The protocol on a fitted model, in one process: with the same users, exclusions, ties and rows as for networks."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from workers.artifacts import FEATURE, TEST, TRAIN, VALID, PreparedDataset
from workers.batches import SplitRows, read_rows
from workers.evaluation.evaluate import CHUNK, DEFAULT, catalogue, describe, pointwise, summarise, users_to_rank
from workers.evaluation.lists import facts_of
from workers.evaluation.ranking import rank_users
from workers.evaluation.rated_sets import SetResults, calibrated, evaluate_sets, has_sets, rated_sets, set_raters
from workers.matrices import MatrixModel
from workers.specs import USER_ID, Protocol


class MatrixEvaluation(NamedTuple):
    """Metrics and the lists and scores behind them."""

    metrics: dict[str, float]
    ranked: pd.DataFrame
    rows: SplitRows
    scores: np.ndarray  # [B] float32, of those rows
    sets: pd.DataFrame | None = None  # of `SetResults`, on test, where sets were rated


def evaluate_matrix(
    model: MatrixModel,
    likes: csr_matrix,
    dataset: PreparedDataset,
    split: str,
    *,
    protocol: Protocol = DEFAULT,
    limit: int | None = None,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
) -> MatrixEvaluation:
    """The whole protocol on one split. Scores are not probabilities, so there is no log loss.

    Args:
        likes: [U + 1, N] as they are known before the split (`PreparedDataset.known`), by row of the user.
        limit: rank for the first so many users of the sample only.
        report_progress: takes the users ranked so far, and how many there are.
    """
    items, users = catalogue(dataset.folder), users_to_rank(dataset.folder, split, limit, protocol)
    rows = users[FEATURE + USER_ID].to_numpy(np.int64)

    def score(places: np.ndarray) -> np.ndarray:
        report_progress(int(places[0]), len(users))
        return model.scores(likes[rows[places]])

    ranked = describe(rank_users(users, len(items), score, protocol), facts_of(items, dataset.num_users))
    held_out = read_rows(dataset.folder, split)
    scored = pair_scores(model, likes, held_out.users, held_out.items)
    values = summarise(ranked, len(items))
    values |= pointwise(scored, held_out.labels, held_out.known, probability=False, users=held_out.users)
    if split != TEST or not has_sets(dataset.folder):
        return MatrixEvaluation(values, ranked, held_out, scored)
    rated = _evaluate_sets(model, likes, dataset.folder)
    return MatrixEvaluation(values | rated.metrics, ranked, held_out, scored, rated.sets)


def pair_scores(model: MatrixModel, likes: csr_matrix, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The score of each user (row; 0 likes nothing) for the item beside it (row; 0 scores 0): float32 [B]. Each user is scored once."""
    different, place = np.unique(users, return_inverse=True)
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(0, len(different) + CHUNK, CHUNK))
    scores = np.zeros(len(users), np.float32)
    for chunk, (start, end) in enumerate(pairwise(ends)):
        first, pairs = chunk * CHUNK, order[start:end]
        grid = model.scores(likes[different[first : first + CHUNK]])
        scores[pairs] = grid[place[pairs] - first, np.maximum(items[pairs], 1) - 1]
    return np.where(items > 0, scores, np.float32(0))


def _evaluate_sets(model: MatrixModel, likes: csr_matrix, dataset: Path) -> SetResults:
    """How well the mean score of a set's items predicts its rating on test, by a line through the sets of train and valid."""
    (held_out, left_out), (known, _) = rated_sets(dataset, TEST), rated_sets(dataset, TRAIN, VALID)
    if held_out.empty:
        return evaluate_sets(held_out, np.zeros(0), None, left_out)
    raters = set_raters(dataset)[FEATURE + USER_ID].to_numpy(np.int64)
    scores, known_scores = (set_scores(model, likes, raters, sets) for sets in (held_out, known))
    known_ratings = known["rating"].to_numpy(np.float64)
    return evaluate_sets(held_out, scores, calibrated(known_scores, known_ratings, scores), left_out)


def set_scores(model: MatrixModel, likes: csr_matrix, raters: np.ndarray, sets: pd.DataFrame) -> np.ndarray:
    """Mean score of the items of each set that train has, float64 [S]. raters: rows of users; a set names its user by the place here."""
    if sets.empty:
        return np.zeros(0)
    bags = [np.asarray(bag)[np.asarray(bag) > 0] for bag in sets["items"]]
    sizes = np.array([len(bag) for bag in bags])
    users = np.repeat(raters[sets["place"].to_numpy(np.int64)], sizes)
    scores = pair_scores(model, likes, users, np.concatenate(bags).astype(np.int64)).astype(np.float64)
    return np.add.reduceat(scores, np.cumsum(sizes) - sizes) / sizes
