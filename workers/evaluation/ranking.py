"""Lists of the best items for each user of a sample, on the device where the scores are. Letters: U users, N items, K list length."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from workers.evaluation import metrics
from workers.evaluation.evaluate import DEFAULT
from workers.evaluation.lists import DEEPEST, ranking_metrics
from workers.specs import Protocol

AT_ONCE = 64  # users ranked at a time at most
CHUNK_BYTES = 1 << 29  # that ranking may take beside the model: fewer users at a time where the catalogue is large
CELL_BYTES = 20  # of a user and an item at the peak: the score twice, its bits, and a key of 8 bytes
LOWEST = torch.iinfo(torch.int64).min

Scorer = Callable[[np.ndarray], "np.ndarray | Tensor"]  # positions of users in the sample [u] -> scores [u, N], item rows 1..N


def rank_users(users: pd.DataFrame, num_items: int, score: Scorer, protocol: Protocol = DEFAULT) -> pd.DataFrame:
    """Rank the catalogue for each user of a sample and measure the lists.

    Args:
        users: U rows with `user_id`, and `seen` and `relevant`, lists of item rows in 1..num_items.
        num_items: N.
        score: gives the scores of some users, by position in the sample; a tensor is overwritten.

    Returns:
        U rows: user_id, relevant (count), one column a per-user ranking metric, `items` and `scores` (top lists, item rows); and
        `wanted`, the relevant items, where the protocol makes them differ from those of the dataset.

    Raises:
        ValueError: a score is NaN.
    """
    ties, step = metrics.tie_order(num_items, protocol.tie_seed), users_at_once(num_items)
    chunks = [np.arange(start, min(start + step, len(users))) for start in range(0, len(users), step)]
    parts = [_rank_chunk(users.iloc[places], _own(score(places)), ties, protocol) for places in chunks]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"user_id": [], "relevant": [], "items": [], "scores": []})


def users_at_once(num_items: int) -> int:
    """Users ranked at a time, of a catalogue of N items."""
    return int(min(AT_ONCE, max(1, CHUNK_BYTES // (CELL_BYTES * max(1, num_items)))))


def _own(scores: "np.ndarray | Tensor") -> Tensor:
    """float32 scores that may be overwritten."""
    return scores.float() if isinstance(scores, Tensor) else torch.from_numpy(np.array(scores, np.float32))


def _rank_chunk(users: pd.DataFrame, scores: Tensor, ties: np.ndarray, protocol: Protocol) -> pd.DataFrame:
    if bool(scores.isnan().any()):
        raise ValueError(metrics.DIVERGED)
    if protocol.exclude_seen:
        scores[_cells(users["seen"], scores.device)] = -torch.inf
    keys = sort_keys(scores, torch.from_numpy(ties).to(scores.device))
    best = torch.topk(keys, min(max(protocol.list_length, DEEPEST), keys.shape[1]), dim=1).indices
    first = _first_hits(keys, scores, _cells(users["relevant"], scores.device)).cpu().numpy()
    top, top_scores = best.cpu().numpy(), scores.gather(1, best).cpu().numpy()
    real = top_scores > -np.inf
    hits, counts = _hits(users["relevant"], top, keys.shape[1])
    columns: dict[str, Any] = {"user_id": users["user_id"].to_numpy(), "relevant": counts} | ranking_metrics(hits & real, counts)
    columns["mrr"] = metrics.reciprocal_rank(first, counts)
    lengths = np.minimum(real.sum(axis=1), protocol.list_length)  # items that were left out come last
    columns["items"] = [(row[:length] + 1).astype(np.int32) for row, length in zip(top, lengths, strict=True)]
    columns["scores"] = [row[:length] for row, length in zip(top_scores, lengths, strict=True)]
    if protocol.has_own_relevant:
        columns["wanted"] = list(users["relevant"])
    return pd.DataFrame(columns)


def sort_keys(scores: Tensor, ties: Tensor) -> Tensor:
    """`metrics.sort_keys` on a device, in the same order: int64 [U, N]. scores: float32 [U, N] without NaN."""
    bits = (scores + 0.0).view(torch.int32)  # -0.0 is 0.0
    # IEEE 754 floats order like sign-magnitude integers
    bits ^= (bits >> 31).bitwise_and_(0x7FFFFFFF)
    return bits.to(torch.int64).bitwise_left_shift_(32).add_(ties)


def _first_hits(keys: Tensor, scores: Tensor, relevant: tuple[Tensor, Tensor]) -> Tensor:
    """Rank (from 1) of the best relevant item in the full ranking of each row, int64 [U]; 0 where none is ranked."""
    wanted = torch.where(scores[relevant] > -torch.inf, keys[relevant], LOWEST)
    best = torch.full((len(keys),), LOWEST, device=keys.device).scatter_reduce_(0, relevant[0], wanted, "amax")
    return torch.where(best > LOWEST, (keys > best[:, None]).sum(1) + 1, 0)


def _hits(relevant: Iterable[np.ndarray], top: np.ndarray, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each item of the lists [U, K] is relevant, and the number of different relevant items of each user [U]."""
    rows, items = _pairs(relevant)
    wanted = np.unique(rows * num_items + items)
    listed = np.arange(len(top))[:, None] * num_items + top
    return np.isin(listed, wanted), np.bincount(wanted // max(1, num_items), minlength=len(top))


def _cells(bags: Iterable[np.ndarray], device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows and columns of the items of each user."""
    rows, items = _pairs(bags)
    return torch.from_numpy(rows).to(device), torch.from_numpy(items).to(device)


def _pairs(bags: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Places of users, and of items in the catalogue, of lists of item rows."""
    lists = [np.asarray(bag, np.int64) for bag in bags]
    rows = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    return rows, np.concatenate([np.zeros(0, np.int64), *lists]) - 1
