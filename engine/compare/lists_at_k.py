"""Metrics of recommended lists at any k, from the lists that runs and baselines stored: no model is opened, nothing is ranked again.

Letters: U users, K list length.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import datasets, runs
from workers.artifacts import BASELINES, LIST_NAMES, METRICS, RANKING, RANKING_NAMES, TEST, TOP_K, cutoff
from workers.evaluation import Bools, Facts, Ints, all_lists_metrics, facts_of, list_metrics, padded, ranking_metrics
from workers.specs import TARGETS, USER_ID, Protocol, Target

if TYPE_CHECKING:
    import pandas as pd

STORED_K, MOST_K = 10, 100  # the k that runs and baselines measure everything at, and the greatest that may be asked for


class ListFacts(NamedTuple):
    """What metrics of lists need to know of a dataset."""

    path: Path
    items: Facts
    relevant: "pd.Series"  # user_id -> rows of the items that are relevant on test
    target: Target = "later"  # of them


class ListMetrics(NamedTuple):
    """Metrics of lists at one k."""

    per_user: "pd.DataFrame"  # user_id, and a column for each metric of users
    values: dict[str, float]  # metric key -> mean over users, or the one value of all lists; undefined ones are absent


def checked(k: int) -> int:
    """The k, where lists can be measured at it; else ValueError."""
    if not 1 <= k <= MOST_K:
        raise ValueError(f"k is {k}; choose 1 to {MOST_K}.")
    return k


def keys_at(k: int) -> list[str]:
    """The metrics of a comparison at k, in their order: all that runs log, those of lists at k instead of at the ks that are logged."""
    if k == STORED_K:
        return list(METRICS)
    uncut = [key for key in METRICS if cutoff(key) is None]
    ranking = [f"{name}_at_{k}" for name in RANKING_NAMES] + [key for key in uncut if METRICS[key].family == "ranking"]
    return [*ranking, *(f"{name}_at_{k}" for name in LIST_NAMES), *(key for key in uncut if key not in ranking)]


def list_facts(dataset: str, target: Target = "later") -> ListFacts | None:
    """The facts of a dataset; None where it is gone, nothing can be ranked, or it does not know the target.

    target: what of the items that a user went on to like is relevant.
    """
    try:
        found = datasets.get_dataset(dataset)
    except LookupError:
        return None
    if not found.schema.can_rank or not (found.path / RANKING / f"{TEST}.parquet").is_file():
        return None
    return _list_facts(found.id, found.path, found.schema.feature(USER_ID).num_rows - 1, target)


def targets_of(dataset: str) -> list[Target]:
    """The targets that a dataset knows, so that lists can be measured by them."""
    return [target for target in TARGETS if list_facts(dataset, target) is not None]


@lru_cache(maxsize=12)
def _list_facts(dataset: str, path: Path, num_users: int, target: Target) -> ListFacts | None:
    """A prepared dataset never changes."""
    import pandas as pd
    import pyarrow.parquet as pq

    file, column = path / RANKING / f"{TEST}.parquet", "relevant" if target == "later" else target
    if column not in pq.read_schema(file).names:
        return None
    items = datasets.items(dataset)
    relevant = pd.read_parquet(file, columns=[USER_ID, column]).set_index(USER_ID)[column]
    if target != "later":
        relevant = relevant.map(lambda row: np.array([row], np.int32))
    return ListFacts(path, facts_of(items[items["row"] > 0].sort_values("row"), num_users), relevant, target)


def relevant_of(dataset: str, path: Path, target: Target, lists: "pd.DataFrame") -> "pd.Series":
    """What counts as a hit in some stored lists: user_id -> rows of items.

    Args:
        path: of the dataset. lists: of a run, index user_id; they bring what is relevant where its protocol is not the dataset's.
    """
    import pandas as pd

    known = list_facts(dataset, target) if target != "later" else None
    if known is not None:
        return known.relevant
    if "relevant" in lists:
        return lists["relevant"]
    return pd.read_parquet(path / RANKING / f"{TEST}.parquet", columns=[USER_ID, "relevant"]).set_index(USER_ID)["relevant"]


def of_run(run_id: str, protocol: Protocol, facts: ListFacts, k: int) -> ListMetrics | None:
    """A finished run's lists at k; None where they are not in this workspace, are shorter than k, or hold items that the dataset does not
    count for such a target."""
    if k > protocol.list_length or not (protocol.exclude_seen or protocol.target == facts.target):
        return None
    return _measured(runs.result_file(run_id, TOP_K), facts, k, own=protocol.target == facts.target)


def of_baseline(name: str, facts: ListFacts, k: int) -> ListMetrics | None:
    """The lists of popularity or random at k; None for what does not rank, and of datasets that were prepared without keeping them."""
    return _measured(facts.path / BASELINES / f"{name}_{TOP_K}", facts, k)


def _measured(path: Path, facts: ListFacts, k: int, own: bool = True) -> ListMetrics | None:
    """own: whether relevant items that are stored with the lists, since the protocol has its own, are those to count."""
    import pandas as pd

    if not path.is_file():
        return None
    lists = pd.read_parquet(path)
    relevant = lists["relevant"] if own and "relevant" in lists else facts.relevant.reindex(lists[USER_ID])
    wanted = [rows if isinstance(rows, np.ndarray) else np.zeros(0, np.int64) for rows in relevant]
    top, num_items = padded(lists["items"], k), len(facts.items.group)
    counts = np.array([len(rows) for rows in wanted], np.int64)
    keys = [f"{name}_at_{k}" for name in RANKING_NAMES]
    found = ranking_metrics(_hits(top, wanted, counts, num_items), counts, keys) | list_metrics(top, facts.items, k)
    per_user = pd.DataFrame({USER_ID: lists[USER_ID], **found})
    values = {key: float(per_user[key].mean()) for key in found} | all_lists_metrics(top, num_items, k)
    return ListMetrics(per_user, {key: value for key, value in values.items() if np.isfinite(value)})


def _hits(top: Ints, wanted: list[np.ndarray], counts: Ints, num_items: int) -> Bools:
    """Whether each listed item is relevant, [U, K]; `wanted`: rows of the relevant items of each user, `counts`: how many."""
    users = np.arange(len(top))
    relevant = np.repeat(users, counts) * num_items + np.concatenate([np.zeros(0, np.int64), *wanted]) - 1
    return np.isin(users[:, None] * num_items + top, relevant) & (top >= 0)
