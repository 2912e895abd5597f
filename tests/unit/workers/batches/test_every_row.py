"""Batches hold every row exactly once, with its own bag, whatever the sizes of blocks and batches."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.batches.batches import Columns, num_rows
from workers.batches.epochs import EpochReader
from workers.evaluation import split_rows
from workers.networks import Batch
from workers.specs import Categorical, FeatureSchema

SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="user_id", side="user", num_rows=2000, vocabulary="user_id"),
        Categorical(name="history", side="user", num_rows=2000, multi_valued=True, vocabulary="item_id"),
    )
)
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=12)  # rows of the blocks


def blocks_of(sizes: list[int]) -> list[Columns]:
    """Rows numbered from 0 over all blocks: row r has r in a bag of r % 3 copies, and every second one is liked."""
    ends = np.cumsum(sizes)
    parts = [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    return [
        {
            "user_id": rows.astype(np.int32),
            "history.values": np.repeat(rows, rows % 3).astype(np.int32),
            "history.lengths": (rows % 3).astype(np.int32),
            "label": (rows % 2 == 0).astype(np.float32),
        }
        for rows in parts
    ]


def rows_in(batch: Batch) -> list[int]:
    """The numbers of the rows of a batch, each of which has its own bag and label."""
    rows, bags = batch.sparse["user_id"].values(), batch.sparse["history"]
    assert bags.lengths().tolist() == (rows % 3).tolist()
    assert bags.values().tolist() == rows.repeat_interleave(rows % 3).tolist()
    assert batch.label.tolist() == (rows % 2 == 0).tolist()
    return rows.tolist()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(SIZES, st.integers(1, 40), st.integers(1, 6), st.integers(0, 99), st.booleans())
def test_an_epoch_takes_every_row_once_and_repeats_only_to_fill_its_last_batch(
    sizes: list[int], size: int, pool: int, seed: int, liked_only: bool
) -> None:
    wanted = [row for row in range(sum(sizes)) if row % 2 == 0 or not liked_only]
    steps = -(-len(wanted) // size)
    batches = [
        rows_in(batch) for batch in EpochReader(blocks_of(sizes), SCHEMA, size, steps, pool, np.random.default_rng(seed), liked_only)
    ]
    assert [len(rows) for rows in batches] == [size] * steps
    counts = Counter(row for rows in batches for row in rows)
    assert set(counts) == set(wanted)
    assert sum(counts.values()) - len(wanted) == steps * size - len(wanted) < size
    if len(wanted) % size == 0:
        assert set(counts.values()) == {1}


@settings(derandomize=True, deadline=None, max_examples=30)
@given(SIZES, st.integers(1, 40), st.integers(1, 6), st.integers(0, 99))
def test_an_epoch_that_ends_early_repeats_no_row(sizes: list[int], size: int, pool: int, seed: int) -> None:
    steps = sum(sizes) // size
    batches = [rows_in(batch) for batch in EpochReader(blocks_of(sizes), SCHEMA, size, steps, pool, np.random.default_rng(seed))]
    rows = [row for batch in batches for row in batch]
    assert len(rows) == len(set(rows)) == steps * size


@settings(derandomize=True, deadline=None)
@given(SIZES)
def test_evaluation_takes_every_row_once_and_in_order(sizes: list[int]) -> None:
    batches = list(split_rows._fixed_batches(iter(blocks_of(sizes))))
    assert np.concatenate([batch["user_id"] for batch in batches]).tolist() == list(range(sum(sizes)))
    assert all(num_rows(batch) for batch in batches)
