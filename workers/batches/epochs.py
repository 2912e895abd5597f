"""One epoch of a rank: blocks to shuffled batches, and the position in them, from which another attempt goes on.

The position is the rows that are in memory and not trained on, and the numbers of the blocks that were read. So each block is read once,
whatever the number of ranks that goes on: rows in memory are divided anew, and the stream leaves out the blocks that were read.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from workers.batches.batches import Columns, join, num_rows, part, take, to_batch
from workers.batches.blocks import BLOCK
from workers.networks import Batch
from workers.specs import FeatureSchema

READ = ("dense", "label", "weight", "target")  # columns of batches besides the categorical features
POOL_BLOCKS = 8  # blocks that are shuffled together when read; they were shuffled globally when written


class Position(NamedTuple):
    """Where a rank is in an epoch."""

    made: int  # batches so far
    pool: Columns  # in the order in which its rows are trained on; empty before the first
    at: int  # of the pool's rows, those from here on were not trained on
    later: tuple[Columns, ...]  # pools to come, not yet shuffled
    begun: Columns  # what was read of the pool after them
    begun_blocks: int
    read: np.ndarray  # int64 numbers of the blocks that were read in this epoch
    random: Mapping[str, Any] | None  # state of the generator that shuffles; None: another rank's, not to be used

    @property
    def left(self) -> list[Columns]:
        """Rows that were read and not trained on."""
        parts = [part(self.pool, self.at, num_rows(self.pool)) if self.pool else {}, *self.later, self.begun]
        return [columns for columns in parts if columns and num_rows(columns)]


def divided(positions: Sequence[Position], rank: int, world: int, liked_only: bool) -> Position:
    """The position of one of `world` ranks that go on where other ranks were: their rows are put together and divided anew.

    Where there are fewer rows than ranks, some rows are given to more than one: a rank must have rows to make batches of.
    """
    left = [columns for one in positions for columns in one.left]
    if liked_only:
        left = [take(columns, np.flatnonzero(columns["label"] > 0)) for columns in left]
    left = [columns for columns in left if num_rows(columns)] or [part(one.pool, 0, 1) for one in positions if one.pool]
    rows = join(left) if left else Columns()
    count = num_rows(rows) if rows else 0
    own = (take(rows, np.arange(rank, max(count, rank + 1), world) % count),) if count else ()
    read = np.unique(np.concatenate([one.read for one in positions]))
    return Position(0, Columns(), 0, own, Columns(), 0, read, None)


class EpochReader:
    """One epoch of this rank: exactly `steps` full batches, whatever the sizes of its blocks.

    Blocks are pooled, shuffled and cut; rows that are left over begin the next pool. Ranks must take the same number of steps, or they wait
    for each other forever: a rank with too few rows draws again from its last pool, and a rank with more leaves some out, other ones each
    epoch. `liked_only` leaves out rows with label 0. The stream is always read to its end, since its next epoch begins for all ranks at
    once.

    Args:
        begin: where an earlier attempt was; `steps` counts its batches too, and the stream must leave out what it read.
        make: a batch of some rows, which may draw random numbers; None: the rows as they are.
    """

    def __init__(
        self,
        stream: Iterable[Mapping[str, Any] | None],
        schema: FeatureSchema,
        batch_size: int,
        steps: int,
        pool_blocks: int,
        rng: np.random.Generator,
        liked_only: bool = False,
        begin: Position | None = None,
        make: Callable[[Columns, np.random.Generator], Batch] | None = None,
    ) -> None:
        self._make = make
        self._stream, self._schema, self._size, self._steps = stream, schema, batch_size, steps
        self._pool_blocks, self._rng, self._liked_only = pool_blocks, rng, liked_only
        self._names = {*READ, *(f"{f.name}{part}" for f in schema.categorical for part in ("", ".values", ".lengths"))}
        self._made, self._pool, self._at = 0, Columns(), 0
        self._waiting = deque[list[Columns]]()
        self._begun, self._begun_blocks = list[Columns](), 0
        self._read = list[int]()
        if begin:
            self._made, self._pool, self._at, self._begun_blocks = begin.made, begin.pool, begin.at, begin.begun_blocks
            self._waiting += [[columns] for columns in begin.later]
            self._begun, self._read = [begin.begun] if begin.begun else [], begin.read.tolist()
            if begin.random:
                rng.bit_generator.state = begin.random

    def position(self) -> Position:
        """Where this rank is after the batch that it gave last."""
        later = tuple(join(blocks) for blocks in self._waiting)
        begun, read = join(self._begun) if self._begun else Columns(), np.array(self._read, np.int64)
        return Position(self._made, self._pool, self._at, later, begun, self._begun_blocks, read, self._rng.bit_generator.state)

    def __iter__(self) -> Iterator[Batch]:
        reading = self._pools()
        if self._pool:
            yield from self._batches(reading)
        while blocks := self._waiting.popleft() if self._waiting else next(filter(None, reading), None):
            self._mix(blocks)
            yield from self._batches(reading)
        rows, left = num_rows(self._pool), self._left()
        if not rows and self._made < self._steps:
            raise ValueError("A process has no row to learn from; choose fewer processes, or a larger share of the users.")
        self._at = rows
        while self._made < self._steps:
            self._made += 1
            rest = self._rng.choice(rows, self._size - num_rows(left), replace=rows < self._size)
            yield self._batch(join([left, take(self._pool, rest)]))
            left = take(left, np.zeros(0, int))

    def _batch(self, rows: Columns) -> Batch:
        return self._make(rows, self._rng) if self._make else to_batch(rows, self._schema, self._size)

    def _left(self) -> Columns:
        """The rows of the pool that fill no batch."""
        rows = num_rows(self._pool)
        return part(self._pool, max(self._at, rows - rows % self._size), rows)

    def _mix(self, blocks: list[Columns]) -> None:
        """Make the next pool: some blocks and what is left of the pool before."""
        fresh = join(blocks)
        if self._liked_only:
            fresh = take(fresh, np.flatnonzero(fresh["label"] > 0))
        if not num_rows(fresh) and self._pool:
            return  # nothing of these blocks is learned from: the pool stays, should the rank have to draw again from it
        pool = join([self._left(), fresh]) if self._pool else fresh
        # in one go, so that a column stays in the cache
        self._pool, self._at = take(pool, self._rng.permutation(num_rows(pool))), 0

    def _batches(self, reading: Iterator[list[Columns] | None]) -> Iterator[Batch]:
        """The batches of the pool; blocks of the next one are read between them."""
        rows = num_rows(self._pool)
        cut = rows - rows % self._size
        a_batch = -(-self._pool_blocks * self._size // max(cut, 1))  # so that the next pool is read when this one ends
        for start in range(self._at, cut, self._size):
            if self._made < self._steps:
                self._made += 1
                self._at = start + self._size
                yield self._batch(part(self._pool, start, start + self._size))
                # at most one pool ahead, however small batches are
                self._waiting += filter(None, islice(reading, 0 if self._waiting else a_batch))

    def _pools(self) -> Iterator[list[Columns] | None]:
        """Lists of `pool_blocks` blocks, with the columns of batches; None after each block that does not complete a list.

        So reading goes on between batches: all other ranks would wait for a rank that stops to read a whole pool.
        """
        for block in self._stream:
            if block is None:
                continue
            if BLOCK in block:
                self._read.append(block[BLOCK])
            self._begun.append({name: np.asarray(column) for name, column in block.items() if name in self._names})
            self._begun_blocks += 1
            if self._begun_blocks == self._pool_blocks:
                yield self._whole_pool()
            else:
                yield None
        if self._begun:
            yield self._whole_pool()

    def _whole_pool(self) -> list[Columns]:
        blocks, self._begun, self._begun_blocks = self._begun, [], 0
        return blocks
