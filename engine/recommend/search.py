"""Search: items by their titles, users by how the lists of runs differ for them.

Letters: U users, K list length.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from engine import compare, datasets, runs
from workers.artifacts import FEATURE, TOP_K, USERS
from workers.evaluation import Floats, Ints, padded
from workers.serving import EVERYTHING, Filter, genres_of, matches
from workers.specs import USER_ID

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.dataset as ds

MOST_USERS = 1000  # most users of a search
NAMED = 6  # items that a message names
PERSISTENCE = 0.9  # of rank-biased overlap: the first 10 ranks then have 86 % of the weight
DEPTH = 30  # depth that it reads: 1 % of the weight lies beyond
BROWSES = {
    "telling": "Lists differ, somebody hits",
    "active": "Most active",
    "disagree": "Lists differ most",
    "a_not_b": "A right, B wrong",
    "b_not_a": "B right, A wrong",
    "neither": "A and B wrong",
    "cold": "Liked nothing in train",
}  # order of users -> its name; A and B are the first two contenders, right: a hit in the top k
OF_LISTS = ("telling", "disagree", "a_not_b", "b_not_a", "neither")  # orders that need two contenders
COLUMNS = ["item_id", "title", "genres", "train_positives"]


class Catalogue(NamedTuple):
    """The items in train, most liked first, and their titles in lower case."""

    items: "pd.DataFrame"
    titles: list[str]


def search_items(id: str, text: str = "", limit: int = 12, without: Sequence[str] = (), only: Filter = EVERYTHING) -> "pd.DataFrame":
    """Items of train whose title contains every word of `text`, or whose id is `text`: the exact id first, then titles that begin with it,
    then by number of likes.

    Args:
        without: ids to leave out. only: which items may be returned.

    Returns:
        At most `limit` rows: item_id, title, genres, train_positives.

    Raises:
        LookupError: no such dataset.
    """
    catalogue, query, hidden = _catalogue(datasets.get_dataset(id).path, id), text.strip().casefold(), set(without)
    parts, ids, passes = query.split(), catalogue.items["item_id"].tolist(), only.keeps(catalogue.items)
    ranked = [
        (item.casefold() != query, not title.startswith(query), place)
        for place, (item, title) in enumerate(zip(ids, catalogue.titles, strict=True))
        if passes[place] and item not in hidden and (item.casefold() == query or all(part in title for part in parts))
    ]
    return catalogue.items.iloc[[place for _, _, place in sorted(ranked)[:limit]]].reset_index(drop=True)


def find_item(id: str, text: str) -> dict[str, str]:
    """The one item of train that a text means: by its id, its whole title, or words of its title; item_id and title.

    Raises:
        LookupError: there is none, or there are several; names the likest.
    """
    catalogue = _catalogue(datasets.get_dataset(id).path, id)
    places = matches(catalogue.items["item_id"].tolist(), catalogue.titles, text)
    if not places:
        raise LookupError(f"No item of {id} in train is called {text[:80]!r}; `recbench search items TEXT` finds titles and ids.")
    rows = [(str(item), title) for item, title in catalogue.items.iloc[places[:NAMED]][["item_id", "title"]].itertuples(index=False)]
    if len(places) > 1:
        named = "; ".join(f"{title} ({item})" for item, title in rows)
        raise LookupError(f"{text[:80]!r} may be several items: {named}. Give an id or a whole title.")
    item_id, title = rows[0]
    return {"item_id": item_id, "title": title or item_id}


def known_items(id: str, item_ids: Sequence[str]) -> "pd.DataFrame":
    """Those of some items that are in train, in the given order; columns as in `search_items`. LookupError: no such dataset."""
    items = _catalogue(datasets.get_dataset(id).path, id).items
    order = {item: place for place, item in enumerate(dict.fromkeys(item_ids))}
    matches: Any = items[items["item_id"].isin(list(order))]
    return matches.sort_values("item_id", key=lambda ids: ids.map(order)).reset_index(drop=True)


def genres(id: str) -> list[str]:
    """The genres of a dataset's items, by number of items. LookupError: no such dataset."""
    counts = Counter(part for text in _catalogue(datasets.get_dataset(id).path, id).items["genres"] for part in genres_of(text))
    return [name for name, _ in counts.most_common()]


@lru_cache(maxsize=4)
def _catalogue(path: Path, id: str) -> Catalogue:
    """Cached: a prepared dataset never changes. `path` distinguishes datasets of two workspaces."""
    items = datasets.items(id)
    items = items[items["row"] > 0].sort_values("train_positives", ascending=False, kind="stable")[COLUMNS].reset_index(drop=True)
    return Catalogue(items, [title.casefold() if isinstance(title, str) else "" for title in items["title"]])


def browse(id: str, run_ids: Sequence[str], by: str, k: int = 10) -> "pd.DataFrame":
    """Users in one of the orders BROWSES: those with a list in all runs; for cold users, all who liked something in test.

    Args:
        run_ids: the contenders. k: length of the lists.

    Returns:
        At most MOST_USERS rows: user_id, interactions, train_positives, test_positives, display columns, and for "disagree"
        rank_biased_overlap, the mean over all pairs of contenders.

    Raises:
        LookupError: no such dataset, or a run without stored lists. ValueError: no such order, or it needs two contenders.
    """
    import pyarrow.dataset as ds

    if by not in BROWSES:
        raise ValueError(f"There is no order {by[:40]!r} of users; choose {', '.join(BROWSES)}.")
    if by == "cold":
        cold = _users(id, (ds.field("train_positives") == 0) & (ds.field("test_positives") > 0))
        return cold.sort_values(["interactions", "user_id"], ascending=[False, True]).head(MOST_USERS).reset_index(drop=True)
    if by in OF_LISTS and len(run_ids) < 2:
        raise ValueError(f"{BROWSES[by]} needs two contenders; choose another run.")
    known = compare.list_facts(id)
    if known is None:
        raise LookupError(f"Dataset {id} has no users to rank for.")
    files = [runs.result_file(run_id, TOP_K) for run_id in (run_ids if by in OF_LISTS else ())]
    stored = [_stored(file, file.stat().st_mtime_ns if file.is_file() else 0) for file in files]
    sample = [user for user in known.relevant.index if all(user in one.place for one in stored)]
    if by == "active":
        found = _in_order(id, sample).sort_values(["train_positives", "user_id"], ascending=[False, True])
        return found.head(MOST_USERS).reset_index(drop=True)
    tops = [one.top[[one.place[user] for user in sample]] for one in stored]
    if by == "disagree":
        agreement = np.mean([rank_biased_overlap(a, b) for a, b in combinations([top[:, :DEPTH] for top in tops], 2)], axis=0)
        agreements = {sample[place]: float(agreement[place]) for place in np.argsort(agreement, kind="stable")[:MOST_USERS]}
        return _in_order(id, list(agreements)).assign(rank_biased_overlap=list(agreements.values()))
    truth = [known.relevant[user] for user in sample]
    if by == "telling":
        return _in_order(id, _telling(sample, tops, truth, k)[:MOST_USERS])
    wanted = {"a_not_b": (True, False), "b_not_a": (False, True), "neither": (False, False)}[by]
    right = [[bool(np.isin(row[:k] + 1, rows).any()) for row, rows in zip(top, truth, strict=True)] for top in tops[:2]]
    return _in_order(id, [user for user, *found in zip(sample, *right, strict=True) if tuple(found) == wanted][:MOST_USERS])


def _telling(sample: list[str], tops: list[Ints], truth: list[Any], k: int) -> list[str]:
    """Users whose lists differ and for whom some contender hits: those first for whom the numbers of hits are the farthest apart.

    Args:
        tops: of each contender [U, K]. truth: of each user, the rows of items that are hits.
    """
    if not sample:
        return []
    hits = np.array([[int(np.isin(row[:k] + 1, rows).sum()) for row, rows in zip(top, truth, strict=True)] for top in tops])
    agreement = np.mean([rank_biased_overlap(a, b) for a, b in combinations([top[:, :DEPTH] for top in tops], 2)], axis=0)
    order = np.lexsort((agreement, hits.min(0) - hits.max(0)))
    return [sample[at] for at in order if hits[:, at].max() > 0 and agreement[at] < 1 - 1e-9]


def rank_biased_overlap(a: Ints, b: Ints, p: float = PERSISTENCE) -> Floats:
    """Agreement of two lists, weighted towards the top and extrapolated beyond their common depth: [U] in 0..1; nan for an empty list.

    RBO_EXT of Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010, with both lists read to
    the length of the shorter one.

    Args:
        a, b: [U, K] numbers of items from 0 on, best first, no item twice; -1 behind a list's end. p: persistence, 0 < p < 1.
    """
    k = min(a.shape[1], b.shape[1])
    a, b = a[:, :k], b[:, :k]
    if not a.size:
        return np.full(len(a), np.nan)
    users, depths = np.arange(len(a))[:, None], np.arange(1, k + 1)
    length = np.minimum((a >= 0).sum(1), (b >= 0).sum(1))
    order, width = np.argsort(b, axis=1), int(max(a.max(), b.max())) + 2
    known = (users * width + np.take_along_axis(b, order, 1) + 1).ravel()  # ascending
    at = np.minimum(np.searchsorted(known, (users * width + a + 1).ravel()), known.size - 1)
    both = (known[at] == (users * width + a + 1).ravel()) & (a.ravel() >= 0)
    from_depth = np.maximum(np.broadcast_to(depths - 1, a.shape).ravel(), order.ravel()[at])  # depth from which an item is in both lists
    common = np.bincount((users * k + from_depth.reshape(a.shape)).ravel()[both], minlength=a.size).reshape(a.shape).cumsum(1)
    agreement = common / depths
    with np.errstate(invalid="ignore"):
        seen = ((1 - p) / p * p**depths * agreement * (depths <= length[:, None])).sum(1)
        last = np.take_along_axis(agreement, np.maximum(length - 1, 0)[:, None], 1)[:, 0]
        return np.where(length > 0, seen + last * p**length, np.nan)


def list_agreement(a: Sequence[str], b: Sequence[str]) -> float:
    """`rank_biased_overlap` of two lists of ids; nan for an empty one."""
    number = {item: place for place, item in enumerate(dict.fromkeys([*a, *b]))}
    left, right = (np.array([number[item] for item in one], np.int64)[None] for one in (a, b))
    return float(rank_biased_overlap(left, right)[0])


class RunLists(NamedTuple):
    """The lists of a run."""

    place: dict[str, int]  # user -> row of `top`
    top: Ints  # [U, lists.MOST] of `padded`


@lru_cache(maxsize=24)
def _stored(path: Path, changed_ns: int) -> RunLists:
    """Cached by the time of change: the lists of a finished run never change, or are refused."""
    import pandas as pd

    if not path.is_file():
        raise LookupError(f"The lists of run {path.parent.parent.name} are not in this workspace; leave it out, or browse without lists.")
    lists = pd.read_parquet(path, columns=[USER_ID, "items"])
    return RunLists({user: place for place, user in enumerate(lists[USER_ID])}, padded(lists["items"], compare.MOST_K))


def _in_order(id: str, users: list[str]) -> "pd.DataFrame":
    import pyarrow as pa
    import pyarrow.dataset as ds

    place = {user: at for at, user in enumerate(users)}
    wanted = ds.field("user_id").isin(pa.array(users, pa.string()))  # an empty list has no type of its own
    return _users(id, wanted).sort_values("user_id", key=lambda ids: ids.map(place)).reset_index(drop=True)


def _users(id: str, which: "ds.Expression") -> "pd.DataFrame":
    """Users that a pyarrow expression selects, without their encoded features."""
    import pyarrow.dataset as ds

    source = ds.dataset(datasets.get_dataset(id).path / USERS)
    shown = [name for name in source.schema.names if not name.startswith(FEATURE)]
    return source.to_table(columns=shown, filter=which).to_pandas()
