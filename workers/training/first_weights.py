"""The first weights of tables: each rank draws those of its own shards, where it holds them, and no table is ever whole on one rank.

They depend on the seed, the table and the row alone, so that any number of ranks, and any plan, begin with the same ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torchrec.distributed.batched_embedding_kernel import BaseBatchedEmbeddingBag
from torchrec.modules.embedding_configs import EmbeddingBagConfig

from workers.artifacts import own_shards

BLOCK = 1 << 14  # rows that are drawn at once, and for which there is a seed


@contextmanager
def undrawn(tables: Iterable[EmbeddingBagConfig]) -> Iterator[None]:
    """Leave the tables that are sharded in it as they are allocated, so that they take no memory before their first weights are drawn.

    Otherwise fbgemm fills them with numbers of its own, then TorchRec with those of `init_fn`, each rank with others.
    """
    functions = [(table, table.init_fn) for table in tables]
    for table, _ in functions:
        table.init_fn = _leave
    try:
        with patch.object(BaseBatchedEmbeddingBag, "init_parameters", _leave):
            yield
    finally:
        for table, function in functions:
            table.init_fn = function


def _leave(_: object) -> None:
    """Draw nothing."""


def draw(state: Mapping[str, Any], tables: Iterable[EmbeddingBagConfig], seed: int, device: torch.device) -> None:
    """Draw the first weights of this rank's shards, in place.

    Args:
        state: `DistributedModelParallel.state_dict()`. tables: all tables in it, whose `init_fn` draws rows.
        device: of the shards; the random numbers of other GPUs are left alone, since to ask for them takes memory of theirs.
    """
    by_name = {table.name: table for table in tables}
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        for name, _, offsets, shard in own_shards(state):
            table = by_name.get(name.removesuffix(".weight").rpartition(".embedding_bags.")[2])
            if table is not None and ".embedding_bags." in name:
                _draw(table, offsets, shard, seed)


def _draw(table: EmbeddingBagConfig, offsets: list[int], shard: Tensor, seed: int) -> None:
    """Fill a shard [rows, columns] that begins at some row and column of its table: whole blocks are drawn, and what is its own kept."""
    first, column, (rows, columns) = offsets[0], offsets[1], shard.shape
    assert table.init_fn is not None
    for start in range(first // BLOCK * BLOCK, first + rows, BLOCK):
        block = shard.new_empty(min(BLOCK, table.num_embeddings - start), table.embedding_dim)
        torch.manual_seed(int(np.random.default_rng([seed, start, *table.name.encode()]).integers(2**62)))
        table.init_fn(block)
        low, high = max(start, first), min(start + len(block), first + rows)
        shard[low - first : high - first].copy_(block[low - start : high - start, column : column + columns])
