"""What each contender of a comparison has for the same users, or the same test rows, so that two of them can be paired."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import datasets, runs
from engine.compare import lists_at_k
from engine.compare.cells import protocol_of
from engine.compare.contenders import Comparison, Contender, competitors
from engine.settings import settings
from workers.artifacts import ITEMS, RESULTS, SCORED, cutoff
from workers.evaluation import log_losses, user_areas

if TYPE_CHECKING:
    import pandas as pd

FROM_SCORES = ("user_auc", "log_loss")  # metrics of users that are worked out of scored test rows


class UserValues(NamedTuple):
    """A metric of all who are compared."""

    values: "pd.DataFrame"  # index user, a column a letter
    weights: np.ndarray | None  # [U], of each user in a contender's value; None: all alike
    unit: str = "users"  # or rows, where the data names no users


def user_tables(comparison: Comparison) -> "dict[str, pd.DataFrame]":
    """Letter -> per-user metrics at the comparison's k, of every competitor whose results are here."""
    tables = {one.letter: user_table(comparison, one) for one in competitors(comparison)}
    return {letter: table for letter, table in tables.items() if table is not None}


def per_user(users: "dict[str, pd.DataFrame]", metric: str) -> "pd.DataFrame":
    """A metric of every user that all contenders with it have: index user_id, a column per letter; seeds averaged.

    Args:
        users: what `user_tables` gives.
    """
    import pandas as pd

    values = {}
    for letter, table in users.items():
        if metric in table and table[metric].notna().any():
            values[letter] = table.groupby("user_id", sort=False)[metric].mean()
    return pd.concat(values, axis=1, join="inner").dropna() if values else pd.DataFrame()


def user_table(comparison: Comparison, one: Contender) -> "pd.DataFrame | None":
    """Per-user metrics of a contender at the comparison's k, those of its seeds below each other; None where they are not here."""
    import pandas as pd

    try:
        if one.run_id is None:
            stored = datasets.baseline_per_user(comparison.dataset, one.model)
            return (
                None if stored is None else _at_k(comparison, stored, lambda known: lists_at_k.of_baseline(one.model, known, comparison.k))
            )
        return pd.concat([_of_run(comparison, run_id) for run_id in one.runs])
    except LookupError:
        return None


def _of_run(comparison: Comparison, run_id: str) -> "pd.DataFrame":
    stored = runs.per_user(run_id)
    return _at_k(comparison, stored, lambda known: lists_at_k.of_run(run_id, protocol_of(runs.get_run(run_id)), known, comparison.k))


def _at_k(
    comparison: Comparison, stored: "pd.DataFrame", measured: Callable[[lists_at_k.Known], lists_at_k.Measured | None]
) -> "pd.DataFrame":
    """What was stored of users, and beside it what their lists tell at another k."""
    if all(
        key in stored for key in lists_at_k.keys_at(comparison.k) if (cut := cutoff(key)) and cut[0] == "ndcg" and cut[1] == comparison.k
    ):
        return stored
    known = lists_at_k.known(comparison.dataset)
    found = measured(known) if known else None
    if found is None:
        return stored
    new = ["user_id", *(name for name in found.per_user if name not in stored)]
    return stored.merge(found.per_user[new], on="user_id", how="left")


def scored(one: Contender) -> "list[pd.DataFrame] | None":
    """Scored test rows of each seed of a contender: user, item, label, known, score; None where they are not here, or not alike."""
    import pandas as pd

    found = [pd.read_parquet(path) for path in scored_files(one) or []]
    return found if found and all(rows_alike(found[0], other) for other in found[1:]) else None


def rows_alike(one: "pd.DataFrame", other: "pd.DataFrame") -> bool:
    """Whether two scored tables stand row by row beside each other."""
    return all(np.array_equal(one[name], other[name]) for name in ("user", "item", "label"))


def scored_files(one: Contender) -> list[Path] | None:
    """Where the scored rows of each seed of a contender are; None where one of them is not here."""
    paths = [settings().runs / run_id / RESULTS / SCORED for run_id in one.runs]
    return paths if paths and all(path.is_file() for path in paths) else None


def with_scores(comparison: Comparison) -> list[str]:
    """Letters of those whose test rows have scores: runs that kept them, and with one of them popularity, whose scores are the likes in
    train of an item. Random ones were drawn when the dataset was made and were not kept."""
    letters = [one.letter for one in competitors(comparison) if scored_files(one) is not None]
    popular = [one.letter for one in competitors(comparison) if letters and one.run_id is None and one.model == "popularity"]
    return letters + (popular if popular and _likes(comparison.dataset) is not None else [])


def scored_together(comparison: Comparison, metric: str) -> "Iterator[tuple[str, pd.DataFrame, list[np.ndarray]]]":
    """Contenders with a value of a metric, one at a time, as far as their rows stand beside those of the first.

    Yields:
        letter; rows whose user and item train knows, the same of everybody: user, item, label; the scores [B] of these by each seed.
    """
    table, ours = comparison.table, set(with_scores(comparison))
    measured = ours & set(table.loc[(table["metric"] == metric) & table["value"].notna(), "contender"])
    first: pd.DataFrame | None = None
    for one in competitors(comparison):
        if one.letter not in measured:
            continue
        if one.run_id is None:  # baselines stand behind all runs
            likes = _likes(comparison.dataset)
            if first is not None and likes is not None:
                rows = first[first["known"]]
                yield one.letter, rows, [likes[rows["item"].to_numpy()]]
            continue
        seeds = scored(one)
        if seeds is None or (first is not None and not rows_alike(first, seeds[0])):
            continue
        first = seeds[0][["user", "item", "label", "known"]] if first is None else first
        known = first["known"].to_numpy(bool)
        yield one.letter, first[known], [rows["score"].to_numpy(float)[known] for rows in seeds]


def _likes(dataset: str) -> np.ndarray | None:
    """How often each item (row; 0 unknown to train) was liked in train: float64 [N + 1]; None where the dataset is gone or has no items."""
    try:
        path = datasets.get_dataset(dataset).path / ITEMS
    except LookupError:
        return None
    return _likes_in(path) if path.is_file() else None


@lru_cache(maxsize=2)
def _likes_in(path: Path) -> np.ndarray:
    """A prepared dataset never changes."""
    import pandas as pd

    items = pd.read_parquet(path, columns=["row", "train_positives"]).query("row > 0")
    likes = np.zeros(int(items["row"].max() if len(items) else 0) + 1)
    likes[items["row"].to_numpy()] = items["train_positives"]
    return likes


def of_scores(comparison: Comparison, metric: str) -> UserValues:
    """AUC or log loss of each user, weighed by rows: their weighted mean is the metric. Without users each row stands for itself."""
    import pandas as pd

    found, index, weights, unit = {}, None, np.zeros(0), "users"
    for letter, rows, seeds in scored_together(comparison, metric):
        users, labels = rows["user"].to_numpy(), rows["label"].to_numpy(float)
        unit = "users" if (users > 0).any() else "rows"
        owners = users if unit == "users" else np.arange(len(rows))
        of_seeds = [_by_user(metric, scores, labels, owners) for scores in seeds]
        index, weights = of_seeds[0][0], of_seeds[0][2]
        found[letter] = np.mean([values for _, values, _ in of_seeds], axis=0)
    return UserValues(pd.DataFrame(found, index=index), weights, unit)


def _by_user(metric: str, scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, the metric of each, and how many rows stand behind it; of AUC those alone who have both labels."""
    if metric == "user_auc":
        return user_areas(scores, labels, users)
    who, own, rows = np.unique(users, return_inverse=True, return_counts=True)
    return who, np.bincount(own, log_losses(scores, labels), len(who)) / rows, rows
