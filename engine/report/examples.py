"""Lists of some users side by side, from the lists that runs stored: no model is opened."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import datasets, runs
from engine.compare import Baseline, Comparison, Contender
from engine.datasets import Dataset
from engine.report.tables import Cell, Table, one_line
from workers.artifacts import BASELINES, RANKING, TEST, TOP_K

if TYPE_CHECKING:
    import pandas as pd

MOST_USERS, LENGTH, MOST_CONTENDERS, MOST_LIKED, LONGEST_TITLE = 10, 10, 6, 12, 60
HIT = "✓"


def example_user(comparison: Comparison) -> str | None:
    """The test user for whom the contenders' lists differ most; None where lists or the dataset are not in this workspace."""
    try:
        lists = _lists(comparison, datasets.get_dataset(comparison.dataset))
    except (LookupError, OSError, ValueError, KeyError):
        return None
    return None if lists is None else next(iter(_most_different(lists)), None)


class Lists(NamedTuple):
    """What contenders recommend to the same users."""

    contenders: list[Contender]
    items: "pd.DataFrame"  # index user_id, a column for each letter: rows of the first items, best first
    relevant: "pd.Series"  # user_id -> rows of the items that the user liked in test


def example_lists(comparison: Comparison) -> list[Table]:
    """A table for each of ten test users: the ten first items of each contender, those that the user liked in test marked.

    The users are those for whom the lists differ most: with the most different items in them, then with the most hits, then by id. Of
    several seeds the first is shown. Empty where lists or the dataset are not in this workspace, or nothing was ranked.
    """
    try:
        dataset = datasets.get_dataset(comparison.dataset)
        lists = _lists(comparison, dataset)
        titles = {} if lists is None else _titles(dataset)
    except (LookupError, OSError, ValueError, KeyError):
        return []
    if lists is None:
        return []
    return [_table(lists, user, titles) for user in _most_different(lists)]


def _lists(comparison: Comparison, dataset: Dataset) -> Lists | None:
    """The lists of the first contenders that have any, over the users that all of them have; None where there are none."""
    import pandas as pd

    shown = [one for one in comparison.contenders if one.run_id is not None or one.baseline is Baseline.POPULARITY]
    paths = {one.letter: path for one in shown if (path := _path(one, dataset)).is_file()}
    contenders = [one for one in shown if one.letter in paths][:MOST_CONTENDERS]
    if not any(one.run_id for one in contenders):
        return None
    frames = {one.letter: pd.read_parquet(paths[one.letter]).set_index("user_id") for one in contenders}
    first = next(frames[one.letter] for one in contenders if one.run_id)
    if "relevant" not in first:  # it is there for runs whose protocol differs from that of the dataset
        first = pd.read_parquet(dataset.path / RANKING / f"{TEST}.parquet", columns=["user_id", "relevant"]).set_index("user_id")
    listed = pd.DataFrame({letter: frame["items"].map(lambda rows: rows[:LENGTH]) for letter, frame in frames.items()}).dropna()
    return Lists(contenders, listed[listed.index.isin(first.index)], first["relevant"])


def _path(one: Contender, dataset: Dataset) -> Path:
    if one.run_id is None:
        return dataset.path / BASELINES / f"{one.model}_{TOP_K}"
    return runs.result_file(one.runs[0], TOP_K)


def _titles(dataset: Dataset) -> dict[int, str]:
    """Row -> title of an item, its id where it has none."""
    items = datasets.items(dataset.id)
    named = items["title"].fillna(items["item_id"]) if "title" in items else items["item_id"]
    return {int(row): _short(title) for row, title in zip(items["row"], named, strict=True) if row > 0}


def _short(title: object) -> str:
    line = one_line(title)
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"


def _most_different(lists: Lists) -> list[str]:
    ordered = []
    for user, rows in zip(lists.items.index, lists.items.to_numpy(), strict=True):
        every = np.concatenate([np.asarray(row) for row in rows])
        ordered.append((-len(np.unique(every)), -int(np.isin(every, lists.relevant[user]).sum()), str(user), user))
    return [user for *_, user in sorted(ordered, key=lambda one: one[:3])[:MOST_USERS]]


def _table(lists: Lists, user: str, titles: dict[int, str]) -> Table:
    liked, of_user = [int(row) for row in lists.relevant[user]], lists.items.loc[user]

    def cell(row: int) -> Cell:
        return Cell(titles.get(row, f"item {row}"), mark=HIT if row in liked else "")

    columns = {one.letter: [cell(int(row)) for row in of_user[one.letter]] for one in lists.contenders}
    depth = max(map(len, columns.values()))
    rows = [[Cell(str(at + 1)), *(own[at] if at < len(own) else Cell("–") for own in columns.values())] for at in range(depth)]
    named = [titles.get(row, f"item {row}") for row in liked]
    more = f" and {len(named) - MOST_LIKED} more" if len(named) > MOST_LIKED else ""
    note = f"Liked in test: {', '.join(named[:MOST_LIKED])}{more}."
    return Table(f"User {_short(user)}", ["", *columns], rows, words=True, note=note)
