"""The items that each user liked in a split, in order of time, as MDS blocks of their own: one MDS sample is some hundred users.

Runs inside mapInArrow on Spark executors; imports no Spark.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.artifacts import SEQUENCES
from workers.batches import PARTITION, FolderWriter
from workers.prepare.history import whole_users
from workers.specs import ITEM_ID, USER_ID

SEQUENCES_WRITTEN = "folder string, users long, likes long, left_out long"
COLUMNS = {USER_ID: "ndarray:int32", "timestamp.values": "ndarray:int64"}
COLUMNS |= dict.fromkeys((f"{ITEM_ID}.values", f"{ITEM_ID}.lengths"), "ndarray:int32")


@dataclass(frozen=True)
class SequenceWriter:
    """A mapInArrow function: writes the likes of a partition as one sequence a user, `block_users` sequences a block, under `out`/`name`.

    Batches hold `_partition`, user_id, user and item (int32 rows) and timestamp, nothing but likes of one split; the likes of a user
    follow one another in order of time. Of more than `most` likes of a user the newest are kept; an item that was liked several
    times is there as often. Returns one row: folder (relative to `out`), users, likes that are written, older likes that are left out.
    """

    out: str
    block_users: int
    most: int
    name: str = SEQUENCES

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        writer: FolderWriter | None = None
        likes = kept = 0
        for rows in whole_users(batches):
            if writer is None:
                place = Path(self.out) / self.name, rows[PARTITION][0].as_py()
                writer = FolderWriter(*place, COLUMNS, block, self.block_users)
            users = self.users(rows)
            likes, kept = likes + len(rows), kept + pc.sum(pc.list_value_length(users["items"])).as_py()
            for batch in users.to_batches():
                writer.add(batch)
        if writer is not None:
            writer.finish()
            yield pa.RecordBatch.from_pylist([{"folder": writer.name, "users": writer.rows, "likes": kept, "left_out": likes - kept}])

    def users(self, rows: pa.Table) -> pa.Table:
        """One row for each of some whole users: user, items, times."""
        rows = rows.combine_chunks()
        ids = rows["user_id"].combine_chunks()
        starts = np.concatenate([[0], 1 + np.flatnonzero(pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False))])
        ends = np.append(starts[1:], len(rows))
        place = np.arange(len(rows))
        newest = rows.filter(pa.array(place >= np.repeat(ends, ends - starts) - self.most))
        offsets = pa.array(np.concatenate([[0], np.cumsum(np.minimum(ends - starts, self.most))]).astype(np.int32))
        items, times = (pa.ListArray.from_arrays(offsets, newest[name].combine_chunks()) for name in ("item", "timestamp"))
        return pa.table({"user": rows["user"].take(pa.array(starts)), "items": items, "times": times})


def block(users: pa.Table) -> dict[str, np.ndarray]:
    """Users as the columns of one block."""
    items, times = users["items"].combine_chunks(), users["times"].combine_chunks()
    return {
        USER_ID: np.ascontiguousarray(users["user"].to_numpy(), np.int32),
        f"{ITEM_ID}.values": items.flatten().to_numpy(zero_copy_only=False).astype(np.int32),
        f"{ITEM_ID}.lengths": items.value_lengths().to_numpy(zero_copy_only=False).astype(np.int32),
        "timestamp.values": times.flatten().to_numpy(zero_copy_only=False).astype(np.int64),
    }
