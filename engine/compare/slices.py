"""Where contenders differ: a metric by groups of users, or of items, with its interval and the number of users or rows."""

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine import datasets, runs
from engine.compare import lists_at_k, paired_values, row_metrics, significance
from engine.compare.contenders import Comparison, Contender, competitors
from engine.compare.intervals import LARGE, LEVEL, resampled_means, within
from engine.datasets import INTERACTIONS, Dataset
from workers.artifacts import FEATURE, ITEMS, TOP_K, TRAIN, USERS
from workers.evaluation import area, owners, standard_error

if TYPE_CHECKING:
    import pandas as pd

FEW_IN_SLICE = 10  # users, or rows, below which a value is hardly informative
GROUPS, MOST_VALUES, MOST_GENRES = 4, 12, 12
DAY = 86_400
COLUMNS = ["slice", "contender", "value", "low", "high", "n"]
_OWN = {"user_id", "row", "interactions", "train_positives", "test_positives"}
BY_ROWS, RECALL = "auc", "recall_at_10"
COLD = {(True, True): "known user and item", (True, False): "new item", (False, True): "new user", (False, False): "both new"}
SIDES = {"cold": "row", "popularity": "item", "genre": "item"}  # all others slice users


def slice_choices(comparison: Comparison) -> dict[str, str]:
    """What a comparison can be sliced by: key -> name for people; empty where the dataset is gone or names no users."""
    try:
        dataset = datasets.get_dataset(comparison.dataset)
    except LookupError:
        return {}
    if not (dataset.schema.has_users and dataset.schema.has_items):
        return {}
    found = {"activity": "User activity", "recency": "Recency of the user", "popularity": "Item popularity", "genre": "Genre"}
    if not _by_item(dataset.path, "genre"):
        del found["genre"]
    if _trained(dataset.path)["last"].nunique() < 2:
        del found["recency"]
    if _with_scores(comparison):
        found["cold"] = "New users and items"
    return found | {f"user.{name}": name.replace("_", " ").capitalize() for name in _user_columns(dataset.path)}


def slice_metrics(comparison: Comparison, by: str) -> list[str]:
    """The metrics that slices can be measured by, the most informative first."""
    rows = [BY_ROWS] if _with_scores(comparison) else []
    if by == "cold":
        return rows
    if SIDES.get(by) == "item":
        return [RECALL, *rows] if any(_list_files(one) for one in comparison.contenders) else rows
    of_users = [key for key in significance.testable(comparison) if key not in significance.OVER_ROWS]
    return [*of_users, *rows]


def sliced(comparison: Comparison, by: str, metric: str) -> "pd.DataFrame":
    """A metric of every contender in every slice.

    Args:
        by: activity (different items met in train), recency (of the last interaction in train, before that of everybody), cold,
            popularity (head, middle and tail: a third of all likes in train each), genre, or user. and a column of the users.
        metric: one of `slice_metrics`. Of items it is recall of the relevant items of the slice, of users who have such items.

    Returns:
        slice, contender (letter), value, low, high (95 %), n: users, or rows for AUC. Slices keep their own order; those with fewer
        than FEW_IN_SLICE are among them.

    Raises:
        LookupError: the dataset is gone. ValueError: it cannot be sliced by that.
    """
    import pandas as pd

    dataset = datasets.get_dataset(comparison.dataset)
    if metric not in slice_metrics(comparison, by):
        raise ValueError(f"There is no {metric[:40]!r} by {by[:40]!r}; choose one of {', '.join(slice_metrics(comparison, by)) or 'none'}.")
    if metric == BY_ROWS:
        cells = _areas(comparison, dataset, by)
    elif SIDES.get(by) == "item":
        cells = _recalls(comparison, dataset.path, _by_item(dataset.path, by))
    else:
        cells = _means(
            paired_values.per_user(paired_values.user_tables(comparison), metric), _ids(dataset.path, _by_user(dataset.path, by))
        )
    return pd.DataFrame(cells, columns=COLUMNS)


Cell = tuple[str, str, float, float, float, int]
Groups = dict[str, np.ndarray]  # slice -> rows of the vocabulary that are in it; an item may be in several


def _means(values: "pd.DataFrame", groups: "dict[str, pd.Series]") -> list[Cell]:
    """Means of values (index user_id, a column per letter) over each group of user ids."""
    cells = []
    for name, ids in groups.items():
        some = values[values.index.isin(ids)]
        if len(some):
            cells += _cells(name, list(values.columns), some.to_numpy(float))
    return cells


def _cells(name: str, letters: list[str], values: np.ndarray) -> list[Cell]:
    """One slice: means of values [U, C], all contenders resampled alike."""
    n = len(values)
    ends = np.full((2, len(letters)), math.nan)
    if 1 < n <= LARGE:
        ends = np.percentile(resampled_means(values), [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    elif n > 1:
        ends = values.mean(axis=0) + np.outer([-1.96, 1.96], values.std(axis=0, ddof=1) / math.sqrt(n))
    means = values.mean(axis=0)
    return [(name, one, float(means[at]), float(ends[0, at]), float(ends[1, at]), n) for at, one in enumerate(letters)]


def _recalls(comparison: Comparison, path: Path, groups: Groups) -> list[Cell]:
    """Recall@10 of the relevant items of each group, over the users who have one."""
    lists = {one.letter: found for one in competitors(comparison) if (found := _lists(one)) is not None}
    if not lists:
        return []
    relevant = lists_at_k.relevant_of(comparison.dataset, path, comparison.target, next(iter(lists.values()))[0])
    wanted = relevant.explode().dropna().astype(int).rename("item").reset_index()
    for letter, seeds in lists.items():
        wanted[letter] = np.mean([_hits(wanted, top) for top in seeds], axis=0)
    cells = []
    for name, rows in groups.items():
        shares = wanted[wanted["item"].isin(rows)].groupby("user_id")[list(lists)].mean()
        if len(shares):
            cells += _cells(name, list(lists), shares.to_numpy(float))
    return cells


def _hits(wanted: "pd.DataFrame", top: "pd.DataFrame") -> np.ndarray:
    """Whether each wanted pair of user_id and item is in the user's first ten."""
    import pandas as pd

    listed = top["items"].map(lambda items: items[:10]).explode().dropna().astype(int).rename("item").reset_index()
    return pd.MultiIndex.from_frame(wanted[["user_id", "item"]]).isin(pd.MultiIndex.from_frame(listed[["user_id", "item"]])).astype(float)


def _lists(one: Contender) -> "list[pd.DataFrame] | None":
    """The lists of each seed: index user_id, items (rows, best first); None where they are not here."""
    import pandas as pd

    paths = _list_files(one)
    return [pd.read_parquet(path).set_index("user_id") for path in paths] if paths else None


def _list_files(one: Contender) -> list[Path] | None:
    """Where the lists of each seed are; None where one of them is not here."""
    paths = [runs.result_file(run_id, TOP_K) for run_id in one.runs]
    return paths if paths and all(path.is_file() for path in paths) else None


def _with_scores(comparison: Comparison) -> list[Contender]:
    return [one for one in competitors(comparison) if row_metrics.scored_files(one) is not None]


def _areas(comparison: Comparison, dataset: Dataset, by: str) -> list[Cell]:
    """AUC over the test rows of each slice; of several seeds the mean. Rows of what train does not know count by `cold` alone."""
    cells = []
    for one in _with_scores(comparison):
        seeds = row_metrics.scored(one)
        if seeds is None:
            continue
        for name, inside in _rows_of(seeds[0], dataset.path, by).items():
            labels, users = seeds[0]["label"].to_numpy(float)[inside], seeds[0]["user"].to_numpy(np.int64)[inside]
            areas = [area(rows["score"].to_numpy(float)[inside], labels, owners(users)) for rows in seeds] if inside.any() else []
            if areas and not math.isnan(areas[0].value):
                value, influence = float(np.mean([part.value for part in areas])), np.mean([part.influence for part in areas], axis=0)
                named = (users > 0).all()  # rows of users whom train does not know cannot be put together by user
                ends = within((0, 1), value, standard_error(influence), len(influence)) if named else (math.nan, math.nan)
                cells.append((name, one.letter, value, *ends, int(inside.sum())))
    return cells


def _rows_of(rows: "pd.DataFrame", path: Path, by: str) -> Groups:
    """Slice -> [B] bool: which scored rows are in it."""
    if by == "cold":
        users, items = rows["user"].to_numpy() > 0, rows["item"].to_numpy() > 0
        return {name: (users == user) & (items == item) for (user, item), name in COLD.items()}
    known, side = rows["known"].to_numpy(bool), SIDES.get(by, "user")
    groups = _by_item(path, by) if side == "item" else _by_user(path, by)
    return {name: known & np.isin(rows[side].to_numpy(), members) for name, members in groups.items()}


def _ids(path: Path, groups: Groups) -> "dict[str, pd.Series]":
    """The ids of groups of user rows."""
    import pandas as pd

    users = pd.read_parquet(path / USERS, columns=["user_id", "row"])
    return {name: users.loc[users["row"].isin(rows), "user_id"] for name, rows in groups.items()}


@lru_cache(maxsize=2)
def _trained(path: Path) -> "pd.DataFrame":
    """By user row: rows in train, and the last moment there; a prepared dataset never changes."""
    import pyarrow.dataset as ds

    rows = ds.dataset(path / INTERACTIONS).to_table(columns=["user", "timestamp"], filter=ds.field("split") == TRAIN)
    found = rows.group_by("user").aggregate([("timestamp", "count"), ("user", "count"), ("timestamp", "max")]).to_pandas()
    named = found.rename(columns={"user_count": "count", "timestamp_max": "last"})
    return named[named["user"] > 0].set_index("user")[["count", "last"]]


@lru_cache(maxsize=64)
def _by_user(path: Path, by: str) -> Groups:
    """Rows of users by slice, in the order of the slices."""
    import pandas as pd

    trained = _trained(path)
    if by == "activity":
        return quantiles(trained["count"], lambda low, high: f"{_span(low, high)} interaction{'s' if high > 1 else ''}")
    if by == "recency":
        ages = (trained["last"].max() - trained["last"].dropna()).astype(float)
        unit, size = ("days", DAY) if ages.max() >= 8 * DAY else ("hours", DAY / 24)
        return quantiles((ages // size).astype(int), lambda low, high: f"{_span(low, high)} {unit} ago")
    column = pd.read_parquet(path / USERS, columns=["row", by.removeprefix("user.")]).query("row > 0").set_index("row").iloc[:, 0]
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MOST_VALUES:
        known = quantiles(column.dropna(), _span)
    else:
        known = _most_common(column.dropna().map(lambda value: f"{value:g}" if isinstance(value, float) else str(value)))
    missing = {"unknown": column.index[column.isna()].to_numpy()} if column.isna().any() else {}
    return known | missing


def _span(low: float, high: float) -> str:
    return f"{low:,.4g}" if low == high else f"{low:,.4g}–{high:,.4g}"


def quantiles(values: "pd.Series", name: Callable[[float, float], str]) -> Groups:
    """Index of values by about equal groups of them: equal values are never parted; named by the least and the greatest in each."""
    import pandas as pd

    if values.empty:
        return {}
    cut = pd.qcut(values, GROUPS, labels=False, duplicates="drop").fillna(0)  # nan where all values are one
    parts = [values[cut == at] for at in sorted(cut.unique())]
    return {name(part.min(), part.max()): part.index.to_numpy() for part in parts}


def _most_common(values: "pd.Series") -> Groups:
    """Index of values by value, the most frequent first; those beyond MOST_VALUES together as "other"."""
    counts = values.value_counts()
    kept = list(counts.index if len(counts) <= MOST_VALUES else counts.index[: MOST_VALUES - 1])
    rest = values[~values.isin(kept)]
    return {str(name): values.index[values == name].to_numpy() for name in kept} | ({"other": rest.index.to_numpy()} if len(rest) else {})


@lru_cache(maxsize=8)
def _user_columns(path: Path) -> list[str]:
    """Columns of the users that people know, which have more than one value: text, numbers, yes or no."""
    import pandas as pd
    import pyarrow.dataset as ds
    import pyarrow.types as kinds

    source = ds.dataset(path / USERS)
    names = [
        field.name
        for field in source.schema
        if field.name not in _OWN
        and not field.name.startswith(FEATURE)
        and any(of(field.type) for of in (kinds.is_string, kinds.is_large_string, kinds.is_integer, kinds.is_floating, kinds.is_boolean))
    ]
    table: pd.DataFrame = source.to_table(columns=names).to_pandas()
    return [name for name in names if table[name].nunique() > 1 and (table[name].nunique() <= 200 or table[name].dtype != object)]


@lru_cache(maxsize=8)
def _by_item(path: Path, by: str) -> Groups:
    """Rows of items by slice: a third of the likes in train each, or the genres that most items have."""
    import pandas as pd

    items = pd.read_parquet(path / ITEMS).query("row > 0")
    if by == "popularity":
        ordered = items.sort_values("train_positives", ascending=False, kind="stable")
        before = ordered["train_positives"].cumsum() - ordered["train_positives"]
        third = np.minimum(3 * before // max(1, ordered["train_positives"].sum()), 2)
        parts = {name: ordered.loc[third == at, "row"].to_numpy() for at, name in enumerate(("head", "middle", "tail"))}
        return {f"{name} · {len(rows):,} item{'s' if len(rows) > 1 else ''}": rows for name, rows in parts.items() if len(rows)}
    genres = items.set_index("row")["genres"].dropna().str.split("|").explode() if "genres" in items else pd.Series(dtype=object)
    genres = genres[genres != ""]
    return {str(name): genres.index[genres == name].to_numpy() for name in genres.value_counts().index[:MOST_GENRES]}
