"""The batches of a rank for a model that reads order: whole sequences are read, and each like of theirs is a row."""

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch.distributed as dist

from workers.batches import POOL_BLOCKS, EpochReader, LearnedRows, Position, to_targets
from workers.run import RunContext, RunSpec
from workers.training.feed import Feed

if TYPE_CHECKING:
    from workers.batches import NumberedBlocks


class SequenceFeed(Feed):
    """As `Feed`. Every step has as many sequences, of about `batch_size` likes together: other numbers of them on every rank and step."""

    def __init__(self, context: RunContext[RunSpec], begun: int, learned: LearnedRows, stream: "NumberedBlocks | None" = None) -> None:
        super().__init__(context, begun, learned, stream)
        spec, ranks = context.spec, dist.get_world_size()
        sequences, self.length = max(1, learned.sequences), spec.network.order_length
        each = min(learned.sequence_likes / sequences, self.length)  # likes of a sequence that are rows, on average
        self.liked_only = False  # sequences hold nothing else
        self.size = max(1, round(spec.train.batch_size / each))
        self.steps = -(-sequences // (self.size * ranks))
        self.rows, self.together = sequences * each, self.size * ranks * each

    def read(self, steps: int, rng: np.random.Generator, begin: Position | None) -> EpochReader:
        schema = self.dataset.schema
        make = partial(to_targets, schema=schema, most=self.length)
        pool = math.ceil(POOL_BLOCKS / self.spec.train.user_share)
        return EpochReader(self.blocks(), schema, self.size, steps, pool, rng, begin=begin, make=make)


def feed_of(context: RunContext[RunSpec], begun: int, learned: LearnedRows, stream: "NumberedBlocks | None" = None) -> Feed:
    """The batches of a run: rows, or sequences where its model reads order. Arguments as of `Feed`."""
    return (SequenceFeed if context.spec.network.reads_order else Feed)(context, begun, learned, stream)
