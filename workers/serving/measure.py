"""How a finished model serves: its vector index, and how long one person waits for a list."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from workers.artifacts import FEATURE, RESULTS, TEST, PreparedDataset, index
from workers.batches import read_likes
from workers.evaluation import DEFAULT, best_places, tie_order, users_to_rank
from workers.serving.opened_model import NOTHING, OpenedModel, UserItems
from workers.specs import TIE_SEED, USER_ID, Protocol

LISTED = 100  # items of the list that is timed
TIMED, WARM_UP = 200, 5  # people who are timed, after some who are not
WHOLE = 2 << 30  # bytes of the largest checkpoint that one process opens besides the model that it trained


class KnownLikes(NamedTuple):
    """What the users of a dataset liked before a split, as far as a model reads it."""

    by_item: csr_matrix | None = None  # [U + 1, N]; None where it is not read
    in_order: csr_matrix | None = None  # [U + 1, N], in order of time: see `MatrixModel`; None where it is not read

    @classmethod
    def read(cls, dataset: PreparedDataset, opened_model: OpenedModel, split: str = TEST) -> Self:
        """What the model reads, out of the blocks."""
        splits = dataset.known(split)
        by_item = read_likes(dataset, splits=splits).matrix if opened_model.reads_likes else None
        return cls(by_item, read_likes(dataset, in_order=True, splits=splits).matrix if opened_model.reads_order else None)

    def of(self, row: int, seen: np.ndarray = NOTHING) -> UserItems:
        """The likes of a user (row). seen: places that are not recommended again."""
        liked, weights = NOTHING, np.zeros(0, np.float32)
        if self.by_item is not None:
            own = slice(self.by_item.indptr[row], self.by_item.indptr[row + 1])
            liked, weights = self.by_item.indices[own].astype(np.int64), self.by_item.data[own]
        if self.in_order is None:
            return UserItems(liked, weights, seen)
        own = slice(self.in_order.indptr[row], self.in_order.indptr[row + 1])
        return UserItems(liked, weights, seen, self.in_order.indices[own].astype(np.int64))


NOTHING_READ = KnownLikes()


def people_to_rank(
    dataset: PreparedDataset,
    likes: KnownLikes = NOTHING_READ,
    protocol: Protocol = DEFAULT,
    split: str = TEST,
    limit: int | None = None,
) -> tuple[pd.DataFrame, list[UserItems]]:
    """The users of a split that are ranked for, encoded, and the items known of them; `seen` holds those that the protocol leaves out.

    Args:
        likes: before that split, as far as a model reads them. limit: that many users of the sample at most.
    """
    users = users_to_rank(dataset.folder, split, limit, protocol)
    rows = users[FEATURE + USER_ID].to_numpy(np.int64)
    hidden = users["seen"] if protocol.exclude_seen else [()] * len(users)
    return users, [likes.of(row, np.asarray(seen, np.int64) - 1) for row, seen in zip(rows, hidden, strict=True)]


def serve(run: Path, opened_model: OpenedModel, users: pd.DataFrame, user_items: list[UserItems]) -> dict[str, float]:
    """Write the index of a retriever to the run's results, and time the model.

    Returns:
        latency_p50_ms and latency_p99_ms: of one person's list of LISTED items, from the person's row to ranked items, on one thread;
        empty where there is no user to rank for.
    """
    if opened_model.vectors is not None:
        probes = opened_model.queries(opened_model.people(users.head(index.PROBES), user_items[: index.PROBES])) if len(users) else None
        index.save(index.build(opened_model.vectors, probes=probes), run / RESULTS)
    return latency(opened_model, users, user_items)


def latency(opened_model: OpenedModel, users: pd.DataFrame, user_items: list[UserItems]) -> dict[str, float]:
    """See `serve`."""
    ties = tie_order(len(opened_model.items), TIE_SEED)
    times = []
    with one_thread():
        for place in range(min(len(users), TIMED + WARM_UP)):
            started = time.perf_counter()
            one_list(opened_model, users.iloc[place : place + 1], user_items[place], ties)
            times.append(1000 * (time.perf_counter() - started))
    times = times[WARM_UP:] or times
    return percentiles(times, "latency") if times else {}


def percentiles(times: list[float], name: str) -> dict[str, float]:
    """The median and the 99th percentile of milliseconds, as <name>_p50_ms and <name>_p99_ms."""
    return {f"{name}_p50_ms": float(np.percentile(times, 50)), f"{name}_p99_ms": float(np.percentile(times, 99))}


def one_list(
    opened_model: OpenedModel, user: pd.DataFrame, user_items: UserItems, ties: np.ndarray, k: int = LISTED
) -> tuple[np.ndarray, np.ndarray]:
    """The k best items (places) that a person has not seen, best first, and their scores; fewer where there are no more.

    Args:
        ties: `tie_order` of the catalogue: equal scores in the protocol's order.
    """
    scores = np.array(opened_model.scores(opened_model.people(user, [user_items])[0]), np.float32)
    scores[user_items.seen] = -np.inf
    top = best_places(scores, ties, k)
    top = top[np.isfinite(scores[top])]
    return top, scores[top]


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, FAISS and PyTorch to one thread, as a request gets where many come at once."""
    import faiss
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before[0])
        faiss.omp_set_num_threads(before[1])
