"""Metrics over test rows, with the influence of each user: computed from the scored rows of runs, so that contenders can be paired."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import datasets, runs
from engine.compare.contenders import Comparison, Contender, competitors
from workers.artifacts import BASELINES, ITEMS, RATED_SETS, SCORED
from workers.evaluation import MEASURED, Estimate, Rows, estimates, owners, set_estimates
from workers.specs import Task

if TYPE_CHECKING:
    import pandas as pd

ROW_METRICS = tuple(dict.fromkeys(key for of_output in MEASURED.values() for key in of_output))
SET_METRICS = ("set_rmse", "set_spearman")
ROW = ("user", "item", "label")


class Estimates(NamedTuple):
    """What one run, or one baseline, has by metrics over rows."""

    rows: str  # digest of the rows, which must be the same for two contenders to be paired
    unit: str  # users, or rows where the data names no users
    metrics: dict[str, Estimate]


def scored_files(one: Contender) -> list[Path] | None:
    """Where the scored rows of each seed of a contender are; None where one of them is not here."""
    paths = [runs.result_file(run_id, SCORED) for run_id in one.runs]
    return paths if paths and all(path.is_file() for path in paths) else None


def scored(one: Contender) -> "list[pd.DataFrame] | None":
    """Scored test rows of each seed of a contender: user, item, label, known, score; None where they are not here, or not alike."""
    import pandas as pd

    every = [pd.read_parquet(path) for path in scored_files(one) or []]
    return every if every and len({digest(rows) for rows in every}) == 1 else None


def digest(rows: "pd.DataFrame") -> str:
    """Of which rows there are, in their order."""
    together = sha256()
    for name in ROW:
        together.update(rows[name].to_numpy().tobytes())
    return together.hexdigest()


def estimates_of(comparison: Comparison) -> dict[str, list[Estimates]]:
    """Letter -> the estimates of each seed, of every competitor whose scored rows or rated sets are here; popularity's from its likes."""
    task, keys = _task(comparison.dataset), _keys(comparison)
    of_runs: dict[str, list[Estimates]] = {}
    first: Path | None = None
    for one in competitors(comparison):
        if (paths := scored_files(one)) is not None:
            of_runs[one.letter] = [_of_run(path, path.stat().st_mtime_ns, task, keys.get(one.letter, ())) for path in paths]
            first = first or paths[0]
        elif one.run_id is None and one.model == "popularity" and first is not None:  # baselines come after all runs
            of_runs[one.letter] = _popular(comparison.dataset, first)
        elif one.run_id is None and (path := _sets_of_baseline(comparison.dataset, one.model)) is not None:
            of_runs[one.letter] = [_of_sets(path, path.stat().st_mtime_ns)]
    return of_runs


def _keys(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    """Letter -> the metrics over rows that it has a value of: scores that are no probabilities have no log loss."""
    table = comparison.table[comparison.table["value"].notna() & comparison.table["metric"].isin(ROW_METRICS)]
    return {str(letter): tuple(sorted(keys)) for letter, keys in table.groupby("contender")["metric"]}


def _task(dataset: str) -> Task:
    try:
        return Task.of(datasets.get_dataset(dataset).manifest["label"])
    except (LookupError, ValueError):
        return Task()


@lru_cache(maxsize=64)
def _of_run(path: Path, changed_ns: int, task: Task, keys: tuple[str, ...]) -> Estimates:
    """The estimates of a finished run, whose rows never change: a few numbers for each user, where the rows are many."""
    import pandas as pd

    rows = pd.read_parquet(path)
    found = _of_rows(rows, rows["score"].to_numpy(float), task, keys)
    sets = runs.result_file(path.parents[1].name, RATED_SETS)
    if sets.is_file():
        found.metrics.update(_of_sets(sets, sets.stat().st_mtime_ns).metrics)
    return found


def _of_rows(rows: "pd.DataFrame", scores: np.ndarray, task: Task, keys: tuple[str, ...]) -> Estimates:
    """The estimates over rows whose user and item train knows."""
    known = rows["known"].to_numpy(bool)
    users, labels = rows["user"].to_numpy(np.int64)[known], rows["label"].to_numpy(float)[known]
    outputs: dict[str, np.ndarray] = {}
    if task.output != "binary" and {"logits", "target"} <= set(rows):
        outputs = {
            name: np.array(rows.loc[known, column].tolist(), float) for name, column in (("logits", "logits"), ("targets", "target"))
        }
        outputs["logits"] = outputs["logits"].reshape(len(labels), -1)
    measured_rows = Rows(scores[known], labels, owners(users), outputs.get("logits"), outputs.get("targets"), task if outputs else Task())
    measured = estimates(measured_rows, keys)
    return Estimates(digest(rows), "users" if (users > 0).any() else "rows", measured)


@lru_cache(maxsize=16)
def _of_sets(path: Path, changed_ns: int) -> Estimates:
    import pandas as pd

    sets = pd.read_parquet(path)
    users, ratings, scores, predicted = (sets[name].to_numpy() for name in ("user", "rating", "score", "predicted"))
    there = predicted if np.isfinite(predicted).all() else None
    return Estimates("", "users", set_estimates(scores.astype(float), ratings.astype(float), there, users.astype(np.int64)))


def _sets_of_baseline(dataset: str, name: str) -> Path | None:
    try:
        path = datasets.get_dataset(dataset).path / BASELINES / f"{name}_{RATED_SETS}"
    except LookupError:
        return None
    return path if path.is_file() else None


def _popular(dataset: str, first: Path) -> list[Estimates]:
    """Popularity's: the likes in train of each row's item; empty where the dataset is gone or has no items."""
    try:
        items = datasets.get_dataset(dataset).path / ITEMS
    except LookupError:
        return []
    return [_of_likes(items, first, first.stat().st_mtime_ns)] if items.is_file() else []


@lru_cache(maxsize=8)
def _of_likes(items: Path, scored_path: Path, changed_ns: int) -> Estimates:
    """A prepared dataset never changes."""
    import pandas as pd

    rows, likes = pd.read_parquet(scored_path, columns=[*ROW, "known"]), likes_in(items)
    return _of_rows(rows, likes[np.minimum(rows["item"].to_numpy(), len(likes) - 1)], Task(), ("auc", "user_auc"))


@lru_cache(maxsize=2)
def likes_in(path: Path) -> np.ndarray:
    """How often each item (row; 0 unknown to train) was liked in train, of items.parquet: float64 [N + 1]."""
    import pandas as pd

    items = pd.read_parquet(path, columns=["row", "train_positives"]).query("row > 0")
    likes = np.zeros(int(items["row"].max() if len(items) else 0) + 1)
    likes[items["row"].to_numpy()] = items["train_positives"]
    return likes
