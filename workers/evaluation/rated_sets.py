"""How well scores predict ratings of sets of items."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workers.artifacts import SETS
from workers.evaluation.clustered import set_estimates, with_errors


def has_sets(dataset: Path) -> bool:
    """Whether a dataset has ratings of sets of items beside its interactions."""
    return (dataset / SETS / "sets.parquet").exists()


def rated_sets(dataset: Path, *splits: str) -> tuple[pd.DataFrame, int]:
    """The ratings of sets in some splits, and the number of those left out, whose items are all unknown to train.

    Columns: split, place (of the user in `set_raters`), items (rows, 0 unknown), rating, user_mean.
    """
    sets = pd.read_parquet(dataset / SETS / "sets.parquet")
    sets = sets[sets["split"].isin(splits)]
    known = sets[np.array([bool(np.any(np.asarray(bag) > 0)) for bag in sets["items"]], bool)]
    return known.reset_index(drop=True), len(sets) - len(known)


def set_raters(dataset: Path) -> pd.DataFrame:
    """The users who rated sets, at their places: user_id, user and the encoded features, as in the ranking tables."""
    return pd.read_parquet(dataset / SETS / "users.parquet")


class SetResults(NamedTuple):
    """How well scores of sets predict their ratings: metrics, and the sets behind them."""

    metrics: dict[str, float]
    sets: pd.DataFrame  # user (its place in `set_raters`), rating, score, predicted (nan without), in the order of the dataset


def evaluate_sets(held_out: pd.DataFrame, scores: np.ndarray, predicted: np.ndarray | None, left_out: int) -> SetResults:
    """How well scores of sets predict their ratings; what is undefined is absent.

    Args:
        held_out: S sets of `rated_sets`.
        scores: [S] in any unit, for the rank correlation. predicted: on the rating scale, for the error; None where there are none.
        left_out: sets that could not be scored; returned beside the number of those that were.

    Task and RMSE: Sharma, Harper, Karypis, "Learning from Sets of Items in Recommender Systems", ACM TiiS 9(4), 2019.
    """
    users, ratings = held_out["place"].to_numpy(np.int64), held_out["rating"].to_numpy(np.float64)
    values = {"sets": float(len(ratings)), "sets_left_out": float(left_out)}
    values |= with_errors(set_estimates(scores, ratings, predicted, users))
    known = np.full(len(ratings), np.nan) if predicted is None else predicted
    return SetResults(values, pd.DataFrame({"user": users, "rating": ratings, "score": scores, "predicted": known}))


def calibrated(scores: np.ndarray, ratings: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Ratings predicted for the scores `wanted` by the least-squares line through known (scores, ratings); None without any."""
    if len(scores) == 0:
        return None
    if np.ptp(scores) == 0:
        return np.full(len(wanted), ratings.mean())
    slope, start = np.polyfit(scores.astype(np.float64), ratings.astype(np.float64), 1)
    return start + slope * wanted
