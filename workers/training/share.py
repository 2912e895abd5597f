"""What a run learns from at its share of the users, counted once in a process."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import TRAIN, PreparedDataset
from workers.batches import LearnedRows, count_learned
from workers.evaluation import catalogue
from workers.specs import ITEM_ID


def learned_of(dataset: PreparedDataset, share: float) -> LearnedRows:
    """Rows and likes that are learned from. A collective call where ranks run side by side, each of which reads a part of the blocks.

    Raises:
        ValueError: no row of train is from a user of the share.
    """
    if share >= 1:
        return _of_all(dataset)
    learned = _counted(dataset.folder, share)
    if not learned.rows:
        raise ValueError(f"user_share is {share:g}, and no row of train is from these users; choose a larger share.")
    return learned


def facts_of(learned: LearnedRows) -> dict[str, int]:
    """What done.json says of them; a fact that the run's passes over them do not change."""
    return {"train_rows": learned.rows, "train_liked": learned.liked}


def _of_all(dataset: PreparedDataset) -> LearnedRows:
    """By the manifest and the catalogue, so that no block is read."""
    by_item = np.zeros(dataset.schema.feature(ITEM_ID).num_rows if dataset.schema.has_items else 0)
    if dataset.schema.has_items:
        items = catalogue(dataset.folder, ["row", "train_positives"])
        by_item[items["row"].to_numpy(np.int64)] = items["train_positives"].to_numpy(np.float64)
    in_order = dataset.counts.get("sequences", {})
    return LearnedRows(dataset.interactions[TRAIN], dataset.positives[TRAIN], by_item, in_order.get("users", 0), in_order.get("likes", 0))


@lru_cache(maxsize=1)  # trials of a search, and the fits of a model, learn from the same
def _counted(dataset: Path, share: float) -> LearnedRows:
    together = dist.is_available() and dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    own = torch.from_numpy(count_learned(PreparedDataset.open(dataset), share, rank, world).numbers())
    if together:
        dist.all_reduce(own)
    return LearnedRows.of_numbers(own.numpy())
