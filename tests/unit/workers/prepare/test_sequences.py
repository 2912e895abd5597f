"""Sequences of a streamed pass against those worked out user by user."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workers.batches import blocks_of
from workers.batches.blocks import import_streaming
from workers.prepare.sequences import SequenceWriter


def likes(users: int = 40, seed: int = 0) -> pd.DataFrame:
    """Likes in order of user and time, as the pass wants them: one user has many, and items come again."""
    rng = np.random.default_rng(seed)
    sizes = [400 if user == 7 else int(rng.integers(1, 30)) for user in range(users)]
    user = np.repeat(rng.permutation(users), sizes)
    ids = pd.DataFrame({"user_id": [f"u{one}" for one in user], "user": user + 1, "item": rng.integers(1, 25, len(user))})
    ids["timestamp"] = 10**10 + np.arange(len(ids))
    return ids.assign(_partition=3).astype({"user": np.int32, "item": np.int32, "_partition": np.int32})


def written(rows: pd.DataFrame, folder: Path, most: int, batch: int, block: int = 8) -> dict[str, object]:
    batches = pa.Table.from_pandas(rows, preserve_index=False).to_batches(max_chunksize=batch)
    (part,) = SequenceWriter(str(folder), block, most)(iter(batches))
    return part.to_pylist()[0]


@pytest.mark.parametrize("most, batch", [(1, 7), (10, 100), (1000, 10_000)])
def test_each_users_likes_come_back_in_order_and_of_many_the_newest(tmp_path: Path, most: int, batch: int) -> None:
    rows = likes()
    said = written(rows, tmp_path, most, batch)
    import_streaming()
    blocks = list(blocks_of(tmp_path, str(said["folder"])))
    assert [len(block["user_id"]) for block in blocks] == [8] * 5
    found = {}
    for block in blocks:
        ends = np.cumsum(block["item_id.lengths"])
        for user, start, end in zip(block["user_id"], ends - block["item_id.lengths"], ends, strict=True):
            assert user not in found
            found[int(user)] = (block["item_id.values"][start:end].tolist(), block["timestamp.values"][start:end].tolist())
    expected = {user: (own["item"].tolist()[-most:], own["timestamp"].tolist()[-most:]) for user, own in rows.groupby("user")}
    assert found == expected
    kept = sum(len(items) for items, _ in found.values())
    assert said == {"folder": "sequences/part-00003", "users": 40, "likes": kept, "left_out": len(rows) - kept}
    assert blocks[0]["item_id.values"].dtype == np.int32


def test_a_partition_without_likes_writes_nothing(tmp_path: Path) -> None:
    batches = pa.Table.from_pandas(likes().head(0), preserve_index=False).to_batches()
    assert list(SequenceWriter(str(tmp_path), 8, 10)(iter(batches))) == []
    assert not list(tmp_path.iterdir())
