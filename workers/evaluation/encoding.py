"""States of users and items by an encoder whose tables may be sharded over ranks: all take the same number of lookups."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor

from workers.artifacts import FEATURE, PreparedDataset
from workers.batches import Columns, sequences_of, table_columns, take, to_batch
from workers.evaluation import ranks
from workers.networks import Batch, Ranker
from workers.specs import USER_ID, FeatureSchema

ROWS = 4096  # rows encoded or scored at a time
POSITIONS = 1 << 18  # of the likes in order that are encoded at a time
Encoder = Callable[[Batch], Tensor]  # `encode_users` or `encode_items` of a model


@torch.no_grad()
def encode(encoder: Encoder, columns: Columns, rows: int, schema: FeatureSchema, most: int = ROWS) -> Tensor:
    """Collective: states of a table's rows, in order, on every rank; each rank looks up a part of them.

    Args:
        columns: the table as block columns, the same on all ranks.
        rows: its length. most: rows encoded at a time.
    """
    own = np.array_split(np.arange(rows), dist.get_world_size())[dist.get_rank()]
    parts = [states for _, states in encode_own(encoder, columns, own, schema, most)]
    return torch.from_numpy(ranks.gather(torch.cat(parts).numpy()))


@torch.no_grad()
def encode_own(
    encoder: Encoder, columns: Columns, own: np.ndarray, schema: FeatureSchema, most: int = ROWS
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Collective: some rows of this rank's own at a time with their states, as often on every rank; the last may be none.

    Args:
        columns: a table as block columns. own: the rows of it that are wanted here. most: rows encoded at a time.
    """
    for step in range(max(1, -(-ranks.most(len(own)) // most))):
        chunk = own[step * most : (step + 1) * most]
        # a rank without rows left still takes part in the lookup, with one row that is then dropped
        rows = take(columns, chunk) if len(chunk) else {}
        yield chunk, encoder(to_batch(rows, schema, max(1, len(chunk))).to(ranks.device()))[: len(chunk)].cpu()


def encode_users(model: Ranker, users: pd.DataFrame, dataset: PreparedDataset, split: str) -> Tensor:
    """Collective: the states of some users as they are known before a split, in order, on every rank; of a model that reads order by
    their likes alone.

    Args:
        users: their encoded rows, the same on all ranks.
    """
    if model.order_length:
        return encode_ordered(model, users[FEATURE + USER_ID].to_numpy(np.int64), dataset, split)
    return encode(model.encode_users, table_columns(users, dataset.schema, "user"), len(users), dataset.schema)


def encode_ordered(model: Ranker, users: np.ndarray, dataset: PreparedDataset, split: str) -> Tensor:
    """As `encode_users`, of a model that reads nothing but order. users: [U] rows of the vocabulary."""
    columns = sequences_of(dataset, users, model.order_length, split)
    return encode(model.encode_users, columns, len(users), dataset.schema, ordered_at_once(model))


def ordered_at_once(model: Ranker) -> int:
    """People whom a model that reads order encodes at a time."""
    return max(1, min(ROWS, POSITIONS // model.order_length))
