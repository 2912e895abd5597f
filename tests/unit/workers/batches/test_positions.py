"""Another attempt goes on where ranks were in an epoch: the same rows in the same order, or the same rows over other ranks."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from tests.unit.workers.batches.test_every_row import SCHEMA, SIZES, blocks_of, rows_in
from workers.batches import open_split
from workers.batches.batches import BLOCK, Columns
from workers.batches.epochs import EpochReader, Position, divided


def numbered(sizes: list[int], rank: int = 0, world: int = 1, left_out: frozenset[int] = frozenset()) -> Iterator[Columns | None]:
    """The blocks of a rank as a stream gives them: every world-th, and None for those that are left out."""
    for number, block in enumerate(blocks_of(sizes)):
        if number % world == rank:
            yield None if number in left_out else block | {BLOCK: number}


def reader(
    sizes: list[int], size: int, steps: int, pool: int, liked: bool, begin: Position | None = None, rank: int = 0, world: int = 1
) -> EpochReader:
    left_out = frozenset(begin.read.tolist()) if begin else frozenset[int]()
    return EpochReader(numbered(sizes, rank, world, left_out), SCHEMA, size, steps, pool, np.random.default_rng(rank), liked, begin)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(SIZES, st.integers(1, 20), st.integers(1, 4), st.floats(0, 1), st.booleans())
def test_the_same_rank_goes_on_with_the_same_batches(sizes: list[int], size: int, pool: int, share: float, liked: bool) -> None:
    wanted = sum(row % 2 == 0 for row in range(sum(sizes))) if liked else sum(sizes)
    steps = -(-wanted // size)
    whole = [rows_in(batch) for batch in reader(sizes, size, steps, pool, liked)]
    first = reader(sizes, size, steps, pool, liked)
    before = [rows_in(batch) for batch in islice(first, max(1, int(share * steps)))]
    after = [rows_in(batch) for batch in reader(sizes, size, steps, pool, liked, first.position())]
    assert before + after == whole


@pytest.mark.fault("F39")
@pytest.mark.parametrize("liked", [False, True])
@pytest.mark.parametrize("steps", [1, 4, 9, 12])
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2), (2, 3)])
def test_other_ranks_go_on_with_the_rows_that_are_left(before: int, after: int, steps: int, liked: bool) -> None:
    sizes, size, pool = [7, 30, 12, 25, 3, 18, 22, 9, 14, 40, 11, 16] * 2, 4, 2
    rows, seen, positions = {row for row in range(sum(sizes)) if row % 2 == 0 or not liked}, list[int](), []
    for rank in range(before):
        first = reader(sizes, size, steps + 1, pool, liked, rank=rank, world=before)
        seen += [row for batch in islice(first, steps) for row in rows_in(batch)]
        positions.append(first.position())
    left, again = rows - set(seen), list[int]()
    assert len(left) == len(rows) - before * steps * size
    for rank in range(after):
        begin = divided(positions, rank, after, liked)
        unread = [k for k in range(rank, len(sizes), after) if k not in begin.read]
        own = sum(len(columns["user_id"]) for columns in begin.later)
        own += sum(int(row) % 2 == 0 or not liked for k in unread for row in blocks_of(sizes)[k]["user_id"])
        again += [row for batch in reader(sizes, 1, own, pool, liked, begin, rank, after) for row in rows_in(batch)]
    assert Counter(again) == Counter(left)


def test_every_rank_gets_a_row_where_fewer_are_left_than_ranks() -> None:
    first = reader([5], 4, 1, 2, False)
    batch = next(iter(first))
    parts = [divided([first.position()], rank, 3, False) for rank in range(3)]
    assert [len(columns["user_id"]) for one in parts for columns in one.later] == [1, 1, 1]
    assert {int(row) for one in parts for row in one.later[0]["user_id"]} == set(range(5)) - set(rows_in(batch))


@pytest.mark.fault("F39")
def test_a_stream_leaves_out_the_blocks_that_were_read(tmp_path) -> None:
    tiny.write(tiny.groups(users=60), tmp_path / "dataset")
    stream = open_split(tmp_path / "dataset", "train", shuffle=True, seed=3)
    first = [block[BLOCK] for block in stream]
    assert sorted(first) == list(range(len(first)))
    stream.next_epoch = 0
    stream.left_out = frozenset(first[:2])
    assert [block[BLOCK] for block in stream if block is not None] == first[2:]
