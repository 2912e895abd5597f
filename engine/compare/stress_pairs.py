"""What a stress test reads: who could like what on test, when and how much, and where each contender's lists have it.

Letters: U users, P pairs of a user and an item, K list length.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import runs
from engine.compare.contenders import Contender
from engine.datasets import INTERACTIONS
from workers.artifacts import BASELINES, ITEMS, RANKING, TEST, TOP_K, USERS
from workers.evaluation import Bools, Floats, Ints
from workers.specs import USER_ID, Target

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ITEM_BITS = 32  # of a key
MOST_ITEMS = (1 << ITEM_BITS) - 1
AT_ONCE = 50_000  # pairs that are looked up in lists together: bounds memory


class Pairs(NamedTuple):
    """Pairs that may count under some protocol, in the order of users; users are numbered from 0, items by their rows."""

    user: Ints  # [P]
    item: Ints  # [P]
    relevant: Bools  # [P] whether they count under the protocol of the runs
    seen: Bools  # [P] whether the user met the item before test
    first: Floats  # [P] when the user liked the item first on test; nan where that is not stored
    last: Floats  # [P] and last
    rating: Floats  # [P] the greatest rating on test; nan where there is none
    item_likes: Floats  # [P] likes of the item in train
    user_likes: Ints  # [U] likes of the user in train


def list_files(one: Contender, path: Path) -> list[Path]:
    """The stored lists of each seed of a contender, or of a baseline of the dataset in `path`; empty where one is not here."""
    if one.run_id is None:
        files = [path / BASELINES / f"{one.model}_{TOP_K}"]
    else:
        files = [runs.result_file(run_id, TOP_K) for run_id in one.runs]
    return files if all(file.is_file() for file in files) else []


def users_in(path: Path, files: Sequence[Path]) -> "pd.Index":
    """The ids of users whom all stored lists have, of those that the dataset in `path` ranks for; in the order of the first lists."""
    import pandas as pd

    files = [*files, path / RANKING / f"{TEST}.parquet"]
    every = [pd.Index(pd.read_parquet(file, columns=[USER_ID])[USER_ID]) for file in files]
    kept = np.all([np.ones(len(every[0]), bool), *(every[0].isin(other) for other in every if not other.equals(every[0]))], axis=0)
    return every[0][kept]


def lists_of(file: Path, users: "pd.Index", length: int | None = None) -> Ints:
    """The first items of each user's stored list, int32 [U, K]: rows, and 0 behind a shorter list. `length`: K; None: the longest list."""
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(file, columns=[USER_ID, "items"])
    counts, flat = _ragged(table["items"])
    at = pd.Index(table[USER_ID].to_pandas()).get_indexer(users)
    counts, starts = counts[at], (np.cumsum(counts) - counts)[at]
    columns = np.arange(int(counts.max(initial=0)) if length is None else length)
    places = np.minimum(starts[:, None] + columns, max(0, len(flat) - 1))
    inside = columns < counts[:, None]
    return np.where(inside, flat[places] if len(flat) else 0, 0).astype(np.int32)


def places_in(lists: Ints, pairs: Pairs) -> Ints:
    """The place, from 1, of the item of each pair in the list of its user: [P]; 0 where it is not listed."""
    found = np.zeros(len(pairs.user), np.int64)
    if lists.shape[1] == 0:
        return found
    for start in range(0, len(found), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        same = lists[pairs.user[part]] == pairs.item[part, None]
        found[part] = np.where(same.any(axis=1), same.argmax(axis=1) + 1, 0)
    return found


def read_pairs(path: Path, users: "pd.Index", exclude_seen: bool, own: Path | None = None) -> Pairs:
    """The pairs of some users in a prepared dataset.

    Args:
        exclude_seen: leave out items that users met before, as the protocol of the runs does.
        own: lists that bring what is relevant under a protocol that is not the dataset's.
    """
    import pandas as pd

    ranked, seen, relevant = _ranked(path, users)
    relevant = relevant if own is None else _own_relevant(own, users, relevant)
    met = _on_test(path, ranked)
    every = np.unique(np.concatenate([met.keys, relevant]))
    known = _among(every, seen)
    every, known = (every[~known], known[~known]) if exclude_seen else (every, known)
    first, last, rating = _of_pairs(met, every)
    item_likes = pd.read_parquet(path / ITEMS, columns=["row", "train_positives"]).query("row > 0").set_index("row")["train_positives"]
    user_likes = pd.read_parquet(path / USERS, columns=["row", "train_positives"]).query("row > 0").set_index("row")["train_positives"]
    return Pairs(
        every >> ITEM_BITS,
        every & MOST_ITEMS,
        _among(every, relevant),
        known,
        first,
        last,
        rating,
        item_likes.reindex(every & MOST_ITEMS).fillna(0).to_numpy(np.float64),
        user_likes.reindex(ranked).fillna(0).to_numpy(np.int64),
    )


def answers(path: Path, users: "pd.Index", pairs: Pairs, target: Target) -> Bools:
    """Whether each pair is a user's next or last item, as a prepared dataset stores them: [P].

    Raises:
        KeyError: the dataset was prepared before there were targets.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path / RANKING / f"{TEST}.parquet", columns=[USER_ID, target])
    numbers, items = users.get_indexer(table[USER_ID].to_pandas()), table[target].to_numpy()
    there = (numbers >= 0) & np.isfinite(items)
    return _among(keys_of(pairs.user, pairs.item), keys_of(numbers[there], items[there]))


def seen_of(path: Path, users: "pd.Index") -> Ints:
    """Keys of what users met before test: see `keys_of`."""
    return _ranked(path, users)[1]


def keys_of(user: Ints, item: Ints) -> Ints:
    """One number for each pair of a user, numbered from 0, and an item's row; in the order of users, then of items."""
    return (user.astype(np.int64) << ITEM_BITS) + item.astype(np.int64)


def _among(keys: Ints, others: Ints) -> Bools:
    ordered = np.sort(others)
    places = np.minimum(np.searchsorted(ordered, keys), max(0, len(ordered) - 1))
    return ordered[places] == keys if len(ordered) else np.zeros(len(keys), bool)


def _ranked(path: Path, users: "pd.Index") -> tuple[Ints, Ints, Ints]:
    """The row of each user [U]; keys of what they met before test, and of what is relevant to them on test."""
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(path / RANKING / f"{TEST}.parquet", columns=["user", USER_ID, "seen", "relevant"])
    numbers = users.get_indexer(pd.Index(table[USER_ID].to_pandas()))
    rows = np.zeros(len(users), np.int64)
    rows[numbers[numbers >= 0]] = table["user"].to_numpy()[numbers >= 0]
    return rows, _listed_keys(table["seen"], numbers), _listed_keys(table["relevant"], numbers)


def _own_relevant(file: Path, users: "pd.Index", usual: Ints) -> Ints:
    import pandas as pd
    import pyarrow.parquet as pq

    if "relevant" not in pq.read_schema(file).names:
        return usual
    table = pq.read_table(file, columns=[USER_ID, "relevant"])
    return _listed_keys(table["relevant"], users.get_indexer(pd.Index(table[USER_ID].to_pandas())))


def _listed_keys(lists: "pa.ChunkedArray", numbers: Ints) -> Ints:
    """Keys of the items of lists of users of such numbers; lists of the number -1 are left out."""
    counts, flat = _ragged(lists)
    user = np.repeat(numbers, counts)
    return keys_of(user[user >= 0], flat[user >= 0])


def _ragged(lists: "pa.ChunkedArray") -> tuple[Ints, Ints]:
    """How many values each list has, and all values behind each other."""
    import pyarrow.compute as pc

    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    return counts, pc.list_flatten(lists).to_numpy().astype(np.int64)


class _Met(NamedTuple):
    """Test rows: [B] each; when they are liked, nan for those that are not, and their ratings."""

    keys: Ints
    liked: Floats
    rating: Floats


def _on_test(path: Path, ranked: Ints) -> _Met:
    """The test rows of users of such rows; none where interactions are not stored."""
    import pandas as pd
    import pyarrow.dataset as ds

    if not (path / INTERACTIONS).is_dir():
        return _Met(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    source = ds.dataset(path / INTERACTIONS)
    names = [name for name in ("user", "item", "label", "timestamp", "rating") if name in source.schema.names]
    inside = (ds.field("split") == TEST) & (ds.field("user") > 0) & (ds.field("item") > 0)
    table = source.to_table(columns=names, filter=inside)
    numbers = pd.Index(ranked).get_indexer(pd.Index(table["user"].to_numpy()))
    kept = numbers >= 0

    def column(name: str) -> Floats:
        return table[name].to_pandas().to_numpy(np.float64)[kept] if name in names else np.full(int(kept.sum()), math.nan)

    liked = np.where(column("label") > 0, column("timestamp"), math.nan)
    return _Met(keys_of(numbers[kept], table["item"].to_numpy()[kept]), liked, column("rating"))


def _of_pairs(met: _Met, keys: Ints) -> tuple[Floats, Floats, Floats]:
    """By pair: when it was liked first and last, and its greatest rating; nan where there is none. Keys are in order."""
    kept = _among(met.keys, keys)
    places = np.searchsorted(keys, met.keys[kept])
    first, last, rating = (np.full(len(keys), math.nan) for _ in range(3))
    np.fmin.at(first, places, met.liked[kept])
    np.fmax.at(last, places, met.liked[kept])
    np.fmax.at(rating, places, met.rating[kept])
    return first, last, rating
