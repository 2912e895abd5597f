"""Blocks on an executor, without Spark: what goes in comes out of a stock reader."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests import tiny
from workers.batches.blocks import BlockWriter, blocks_of, import_streaming, mds_columns
from workers.batches.checked import CHECK, CHECK_ENCODING, with_check

COLUMNS = {"single": ("user_id", "item_id"), "multi": ("history", "genres"), "dense": ("age",)}


def batch(rows: int, split: str = "train", history: list[list[int]] | None = None) -> pa.RecordBatch:
    ids = np.arange(rows, dtype=np.int32)
    return pa.RecordBatch.from_pydict(
        {
            "_partition": np.zeros(rows, np.int32),
            "split": [split] * rows,
            "user_id": ids,
            "item_id": ids + 100,
            "history": pa.array(history or [list(range(k % 4)) for k in range(rows)], pa.list_(pa.int32())),
            "genres": pa.array([[1, 2]] * rows, pa.list_(pa.int32())),
            "age": ids.astype(np.float32) / 2,
            "label": (ids % 2).astype(np.float32),
            "rating": np.full(rows, 3.5, np.float32),
            "timestamp": ids.astype(np.int64) + 10**10,
        }
    )


def read(folder: Path) -> list[dict[str, np.ndarray]]:
    return list(blocks_of(folder.parent, folder.name))


def test_rows_become_blocks_of_one_size_and_a_last_one(tmp_path: Path) -> None:
    writer = BlockWriter(out=str(tmp_path), block_rows=8, **COLUMNS)
    written = [row for part in writer(iter([batch(5), batch(13), batch(3)])) for row in part.to_pylist()]
    assert written == [{"split": "train", "folder": "train/part-00000", "rows": 21, "blocks": 3}]
    blocks = read(tmp_path / "train" / "part-00000")
    assert [len(block["label"]) for block in blocks] == [8, 8, 5]
    assert {name: (block.dtype.name, block.ndim) for name, block in blocks[0].items()} == {
        "user_id": ("int32", 1), "item_id": ("int32", 1), "history.values": ("int32", 1), "history.lengths": ("int32", 1),
        "genres.values": ("int32", 1), "genres.lengths": ("int32", 1), "dense": ("float32", 2), "label": ("float32", 1),
        "rating": ("float32", 1), "timestamp": ("int64", 1),
    }  # fmt: skip
    users = np.concatenate([np.arange(5), np.arange(13), np.arange(3)])
    np.testing.assert_array_equal(np.concatenate([block["user_id"] for block in blocks]), users)
    np.testing.assert_array_equal(np.concatenate([block["history.lengths"] for block in blocks]), users % 4)
    np.testing.assert_array_equal(
        np.concatenate([block["history.values"] for block in blocks]), np.concatenate([np.arange(k % 4) for k in users])
    )
    np.testing.assert_array_equal(np.concatenate([block["dense"] for block in blocks]), users[:, None] / 2)
    np.testing.assert_array_equal(np.concatenate([block["timestamp"] for block in blocks]), users + 10**10)


def test_weights_and_targets_of_one_or_several_numbers_a_row_stand_in_the_block(tmp_path: Path) -> None:
    plain = batch(5).drop_columns(["user_id"]).set_column(7, "rating", pa.nulls(5, pa.float32()))
    weights, actions = pa.array(np.arange(5) / 5, pa.float32()), pa.array([[k, k + 0.5] for k in range(5)], pa.list_(pa.float32()))
    columns = {**COLUMNS, "single": ("item_id",), "extra": ("target", "weight")}
    for name, target, expected in (
        ("one", pa.array(range(5), pa.float64()), np.arange(5)),
        ("two", actions, np.arange(5)[:, None] + [0, 0.5]),
    ):
        rows = plain.append_column("weight", weights).append_column("target", target)
        list(BlockWriter(out=str(tmp_path / name), block_rows=8, **columns)(iter([rows.slice(0, 2), rows.slice(2)])))
        (block,) = read(tmp_path / name / "train" / "part-00000")
        assert "user_id" not in block
        assert block["target"].dtype == block["weight"].dtype == np.float32
        np.testing.assert_array_equal(block["target"], expected)
        np.testing.assert_allclose(block["weight"], np.arange(5) / 5, rtol=1e-6)
        assert np.isnan(block["rating"]).all()


def test_a_block_whose_bags_are_all_empty_comes_back_empty(tmp_path: Path) -> None:
    list(BlockWriter(out=str(tmp_path), block_rows=8, **COLUMNS)(iter([batch(3, history=[[], [], []])])))
    (block,) = read(tmp_path / "train" / "part-00000")
    assert block["history.values"].shape == (0,)
    assert block["history.values"].dtype == np.int32
    np.testing.assert_array_equal(block["history.lengths"], [0, 0, 0])


def test_the_bytes_are_those_of_the_stock_writer(tmp_path: Path) -> None:
    import_streaming()
    from streaming.base.format.mds import MDSWriter

    writer = BlockWriter(out=str(tmp_path / "ours"), block_rows=8, **COLUMNS)
    list(writer(iter([batch(20)])))
    with MDSWriter(columns=mds_columns(**COLUMNS) | {CHECK: CHECK_ENCODING}, out=str(tmp_path / "stock")) as stock:
        for start in (0, 8, 16):
            stock.write(with_check(writer.block(pa.Table.from_batches([batch(20)]).slice(start, 8))))
    ours = tmp_path / "ours" / "train" / "part-00000"
    assert (ours / "shard.00000.mds").read_bytes() == (tmp_path / "stock" / "shard.00000.mds").read_bytes()


def test_a_task_that_is_tried_again_writes_to_a_folder_of_its_own(tmp_path: Path) -> None:
    writer = BlockWriter(out=str(tmp_path), block_rows=8, **COLUMNS)

    def fails() -> object:
        yield batch(9)
        raise OSError("the executor is lost")

    with pytest.raises(OSError, match="lost"):
        list(writer(fails()))
    (part,) = writer(iter([batch(9)]))
    assert part.to_pylist()[0]["folder"] == "train/part-00000-1"
    assert sum(len(block["label"]) for block in read(tmp_path / "train" / "part-00000-1")) == 9


def test_streaming_comes_without_torchvision_and_its_parts_can_still_be_had() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from workers.batches.blocks import import_streaming; import_streaming();"
        "assert 'torchvision' not in sys.modules and 'transformers' not in sys.modules;"
        "from streaming import StreamingDataset, StreamingDataLoader; import streaming.vision;"
        "assert streaming.vision.__file__ and StreamingDataLoader.__init__"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_reading_blocks_again_and_again_leaves_no_file_open(tmp_path):
    """A validation an epoch once used up a process's files after some sixty epochs."""
    tiny.write_clicks(tmp_path / "dataset", rows=1200)
    rows = [sum(len(block["label"]) for block in blocks_of(tmp_path / "dataset", "test", k, 3)) for k in range(3)]
    assert sum(rows) == 180
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        assert sum(1 for _ in blocks_of(tmp_path / "dataset", "test"))
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
