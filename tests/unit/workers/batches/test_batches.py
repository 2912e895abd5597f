"""From blocks to batches: rows stay whole, epochs stay equal on all ranks."""

from collections import Counter

import numpy as np
import pytest

from workers.batches.batches import join, num_rows, take, to_batch
from workers.batches.epochs import EpochReader
from workers.specs.schema import Categorical, FeatureSchema

SCHEMA = FeatureSchema(
    categorical=(
        Categorical(name="history", side="user", num_rows=10_000, multi_valued=True, vocabulary="item_id"),
        Categorical(name="item_id", side="item", num_rows=10_000, vocabulary="item_id"),
    )
)


def block(first: int, rows: int) -> dict[str, np.ndarray]:
    """Row r has item r and the history [r, r, …] of length r % 4, so that a torn row shows."""
    ids = np.arange(first, first + rows, dtype=np.int32)
    lengths = ids % 4
    return {
        "item_id": ids,
        "history.values": np.repeat(ids, lengths),
        "history.lengths": lengths,
        "label": (ids % 3 == 0).astype(np.float32),
    }


def blocks(*sizes: int) -> list[dict[str, np.ndarray]]:
    starts = np.cumsum([1, *sizes])
    return [block(int(start), size) for start, size in zip(starts, sizes, strict=False)]


def rows_of(batch) -> list[int]:
    items, history = batch.sparse["item_id"].values().tolist(), batch.sparse["history"].to_dense()
    for item, bag in zip(items, history, strict=True):
        assert bag.tolist() == [item] * (item % 4)
    return items


def run(stream, batch_size, steps, **more) -> list[list[int]]:
    return [rows_of(b) for b in EpochReader(stream, SCHEMA, batch_size, steps, 2, np.random.default_rng(0), **more)]


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def test_take_and_join_keep_bags_with_their_rows():
    whole = join(blocks(5, 7))
    assert num_rows(whole) == 12
    assert rows_of(to_batch(take(whole, np.array([11, 3, 3, 0])), SCHEMA, 4)) == [12, 4, 4, 1]


def test_an_epoch_sees_each_row_once_when_blocks_are_even():
    batches = run(blocks(8, 8, 8, 8), 8, 4)
    assert Counter(flat(batches)) == Counter(range(1, 33))
    assert flat(batches) != list(range(1, 33))  # shuffled


def test_uneven_blocks_still_give_the_agreed_number_of_full_batches():
    batches = run(blocks(8, 8, 5), 4, 6)  # 21 rows, 24 wanted: three are drawn again
    assert [len(b) for b in batches] == [4] * 6
    assert set(flat(batches)) == set(range(1, 22))


def test_a_rank_with_rows_to_spare_reads_its_stream_to_the_end():
    read = []
    stream = (read.append(k) or b for k, b in enumerate(blocks(8, 8, 8)))
    assert len(run(stream, 4, 3)) == 3
    assert read == [0, 1, 2]


def test_a_batch_larger_than_the_data_is_filled_by_drawing_again():
    assert [len(b) for b in run(blocks(3), 8, 2)] == [8, 8]


def test_blocks_are_read_between_batches_and_not_a_pool_at_a_time():
    read = []
    stream = (read.append(place) or one for place, one in enumerate(blocks(*[8] * 12)))
    reads = [len(read) for _ in EpochReader(stream, SCHEMA, 4, 24, 4, np.random.default_rng(0))]
    assert reads[0] == 4  # the first pool must be whole
    assert reads[8:24:8] == [8, 12]  # each later one is when it is its turn, and none waits behind it
    assert max(np.diff(reads)) == 1


def test_liked_only_leaves_the_others_out():
    batches = run(blocks(9, 9), 3, 2, liked_only=True)
    assert sorted(flat(batches)) == [3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize("missing", ["history", "item_id"])
def test_a_feature_that_is_not_there_is_an_empty_bag(missing):
    columns = {name: column for name, column in block(1, 4).items() if not name.startswith(missing)}
    assert to_batch(columns, SCHEMA, 4).sparse[missing].lengths().tolist() == [0, 0, 0, 0]


def test_columns_that_no_model_reads_go_along_whole_and_weights_reach_the_batch():
    """Targets of other outputs, two numbers a row among them, stand in the blocks of some datasets."""
    extra = [
        {
            **b,
            "target": np.stack([b["item_id"], -b["item_id"]], 1).astype(np.float32),
            "weight": b["item_id"] / 10,
            "rating": b["label"] * np.nan,
        }
        for b in blocks(8, 8, 5)
    ]
    seen = list(EpochReader(extra, SCHEMA, 4, 6, 2, np.random.default_rng(0)))
    for batch in seen:
        np.testing.assert_allclose(batch.weight.numpy(), np.array(rows_of(batch)) / 10, rtol=1e-6)
    torn = take(join(extra), np.array([20, 0]))
    np.testing.assert_array_equal(torn["target"], [[21, -21], [1, -1]])
    assert to_batch(blocks(3)[0], SCHEMA, 3).weight.tolist() == [1, 1, 1]
