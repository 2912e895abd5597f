"""Ranks that measure together: sums, places and rows among them. Everything here is a collective call. Letters: R ranks, B rows."""

from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import spread
from workers.evaluation.metrics import Floats, Ints
from workers.evaluation.over import Value

SAMPLES = 1024  # values of each rank that say where ranks part them
Parts = TypeVar("Parts", bound=tuple[np.ndarray, ...])


def device() -> torch.device:
    """Where the model of this rank is."""
    return torch.device("cuda", torch.cuda.current_device()) if "nccl" in dist.get_backend() else torch.device("cpu")


def most(count: int) -> int:
    """The largest count of all ranks."""
    value = torch.tensor([count])
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return int(value)


def gather(part: np.ndarray) -> np.ndarray:
    """The parts of all ranks, in rank order, on every rank."""
    parts: list[np.ndarray] = [part] * dist.get_world_size()
    dist.all_gather_object(parts, part)
    return np.concatenate(parts)


class AllRanks:
    """Rows of all ranks, each with some users: `workers.evaluation.over.Over`."""

    def total(self, part: Value) -> Value:
        """The sum over ranks."""
        value = torch.from_numpy(np.array(part, np.float64))
        dist.all_reduce(value)
        return value.numpy() if value.ndim else float(value)  # type: ignore[return-value]

    def midranks(self, values: Floats) -> Floats:
        """As `Over` says: each rank counts a range of the values of all, so that none holds them all.

        Memory of a rank grows with its own different values and with those of its range, which samples of all ranks make about alike.
        """
        different, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranges = np.searchsorted(_splitters(different), different, side="right")
        sent = np.bincount(ranges, minlength=dist.get_world_size())
        (theirs, held), got = _exchange((different, counts), sent)
        merged, at = np.unique(theirs, return_inverse=True)
        sizes = np.bincount(at, held, len(merged))
        before = gather(np.array([sizes.sum()]))[: dist.get_rank()].sum()
        middles = before + np.cumsum(sizes) - (sizes - 1) / 2
        (ranks,), _ = _exchange((middles[at],), got)
        return np.where(np.isnan(values), np.nan, ranks[place])


def _splitters(values: Floats) -> Floats:
    """R - 1 values that part those of all ranks into ranges of about one size. values: different ones of this rank, rising."""
    world = dist.get_world_size()
    own = values[np.linspace(0, len(values) - 1, min(SAMPLES, len(values))).astype(int)] if len(values) else values
    samples = np.sort(gather(own))
    return samples[np.arange(1, world) * len(samples) // world] if len(samples) else np.zeros(world - 1)


def _exchange(columns: Parts, sent: Ints) -> tuple[Parts, Ints]:
    """The rows that ranks send each other, in the order of ranks, and how many came from each.

    Args:
        columns: [B, ...] each, sorted by the rank that a row goes to. sent: [R] rows for each rank.
    """
    outgoing = torch.from_numpy(np.asarray(sent, np.int64))
    incoming = torch.empty_like(outgoing)
    dist.all_to_all_single(incoming, outgoing)
    got = incoming.numpy()
    parts = []
    for column in columns:
        own = torch.from_numpy(np.ascontiguousarray(column.view(np.uint8) if column.dtype == bool else column))
        theirs = torch.empty((int(got.sum()), *own.shape[1:]), dtype=own.dtype)
        dist.all_to_all_single(theirs, own, got.tolist(), outgoing.tolist())
        parts.append(theirs.numpy().view(column.dtype))
    return tuple(parts), got  # type: ignore[return-value]


def by_user(users: Ints, columns: Parts) -> Parts:
    """Rows such that all of a user are on one rank, whichever had them; those of no user (0) stay where they are.

    Args:
        users: [B] rows of the vocabulary. columns: [B, ...] each, alike on all ranks in their further axes and types.
    """
    world = dist.get_world_size()
    to = np.where(users > 0, (spread(users.astype(np.uint64)) % np.uint64(world)).astype(np.int64), dist.get_rank())
    order = np.argsort(to, kind="stable")
    rows, _ = _exchange(tuple(column[order] for column in columns), np.bincount(to, minlength=world))
    return rows  # type: ignore[return-value]


def lowest(hashes: np.ndarray, count: int) -> np.ndarray:
    """Whether each hash is among the `count` lowest of all ranks, bool [B]: found by halving the range of hashes, without gathering them.

    Where two rows have the hash at the edge, both are kept.
    """
    low, high, over = 0, (1 << 64) - 1, AllRanks()
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if over.total((hashes <= np.uint64(middle)).sum()) >= count else (middle + 1, high)
    return hashes <= np.uint64(low)
