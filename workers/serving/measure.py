"""How a finished model serves: its vector index, and how long one person waits for a list."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from workers.artifacts import FEATURE, RESULTS, TEST, PreparedDataset, index
from workers.evaluation import DEFAULT, best_places, tie_order, users_to_rank
from workers.serving.opened_model import OpenedModel, UserItems
from workers.specs import TIE_SEED, USER_ID, Protocol

LISTED = 100  # items of the list that is timed
TIMED, WARM_UP = 200, 5  # people who are timed, after some who are not
WHOLE = 2 << 30  # bytes of the largest checkpoint that one process opens besides the model that it trained


def people_to_rank(
    dataset: PreparedDataset, likes: csr_matrix | None, protocol: Protocol = DEFAULT, split: str = TEST, limit: int | None = None
) -> tuple[pd.DataFrame, list[UserItems]]:
    """The users of a split that are ranked for, encoded, and their items of train; `seen` holds those that the protocol leaves out.

    Args:
        likes: [U + 1, N], where a model reads them. limit: that many users of the sample at most.
    """
    users = users_to_rank(dataset.folder, split, limit, protocol)
    rows = users[FEATURE + USER_ID].to_numpy(np.int64)
    none = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    liked = [none] * len(users) if likes is None else [liked_of(likes, row) for row in rows]
    hidden = users["seen"] if protocol.exclude_seen else [()] * len(users)
    return users, [UserItems(*one, np.asarray(seen, np.int64) - 1) for one, seen in zip(liked, hidden, strict=True)]


def liked_of(likes: csr_matrix, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Places that a user (row) liked, int64 [n], and their weights, float32 [n]; likes: [U + 1, N]."""
    start, end = likes.indptr[row], likes.indptr[row + 1]
    return likes.indices[start:end].astype(np.int64), likes.data[start:end]


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
