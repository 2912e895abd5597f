"""The users that a served model knows: one Arrow file in the order of users.parquet, and one of sorted ids that says where each user is.

Both are mapped into memory, so that a server holds no user whom nobody asks for. Letters: U users.
"""

import bisect
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workers.artifacts import FEATURE, PreparedDataset
from workers.serving import OpenedModel, UserItems

PEOPLE, IDS = "people.arrow", "people_ids.arrow"
Report = Callable[[str, int, int], None]  # what is done, how much of it, and of how much


class Person(NamedTuple):
    """A user as a model reads them."""

    row: pd.DataFrame  # the encoded features, as in users.parquet
    items: UserItems


def write_people(dataset: PreparedDataset, opened: OpenedModel, folder: Path, features: bool, report: Report) -> int:
    """Write what a model reads of every user of a dataset, and what they met before test; returns U. Memory holds the ids of all users.

    Args:
        features: whether the model reads the users' encoded features. Columns for display are left out: no list needs them.
    """
    from workers.exports import people as exported

    total, places = exported.count(dataset, None)
    ids: list[pa.Array] = []
    scratch, done = folder / "tmp", 0
    writer: pa.RecordBatchFileWriter | None = None
    try:
        for some in exported.people(dataset, None, places, scratch, exclude_seen=True, in_order=opened.reads_order):
            batch = _batch(some.frame, some.items, opened, features)
            writer = writer or pa.ipc.new_file(str(folder / PEOPLE), batch.schema)
            writer.write_batch(batch)
            ids.append(pa.array(some.frame["user_id"].astype(object), pa.large_string()))
            done += len(some.frame)
            report("users", done, total)
    finally:
        if writer is not None:
            writer.close()
        shutil.rmtree(scratch, ignore_errors=True)
    if total:
        _write_ids(pa.chunked_array(ids).combine_chunks(), folder / IDS)
    return total


def _batch(frame: pd.DataFrame, items: Sequence[UserItems], opened: OpenedModel, features: bool) -> pa.RecordBatch:
    names = [str(name) for name in frame if features and str(name).startswith(FEATURE)]
    columns = {name: pa.array(frame[name]) for name in names}
    columns["seen"] = _lists([one.seen for one in items], pa.int32())
    if opened.reads_likes:
        columns["liked"] = _lists([one.liked for one in items], pa.int32())
        columns["weights"] = _lists([one.weights for one in items], pa.float32())
    if opened.reads_order:
        columns["sequence"] = _lists([one.sequence for one in items], pa.int32())
    return pa.RecordBatch.from_pydict(columns)


def _lists(values: Sequence[np.ndarray], kind: pa.DataType) -> pa.ListArray:
    ends = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate([np.zeros(0, kind.to_pandas_dtype()), *values]), kind))


def _write_ids(ids: pa.Array, path: Path) -> None:
    """Sorted ids, each with its place."""
    order = pc.sort_indices(ids)
    batch = pa.RecordBatch.from_pydict({"user_id": ids.take(order), "place": order.cast(pa.int64())})
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)


class KnownPeople:
    """The users of a folder that `write_people` wrote."""

    def __init__(self, rows: pa.RecordBatchFileReader, ids: pa.RecordBatch) -> None:
        self._rows, self._ids, self._places = rows, ids.column("user_id"), ids.column("place")
        self._size = rows.get_batch(0).num_rows  # of all batches but the last

    @classmethod
    def open(cls, folder: Path) -> Self | None:
        """None where the folder has no users."""
        if not (folder / IDS).is_file():
            return None
        rows, ids = (pa.ipc.open_file(pa.memory_map(str(folder / name))) for name in (PEOPLE, IDS))
        return cls(rows, ids.get_batch(0))

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, user_id: str) -> Person | None:
        """A user by id; None where there is none of that id."""
        wanted = user_id.encode()  # Arrow sorts text by its bytes
        at = bisect.bisect_left(range(len(self)), wanted, key=lambda place: self._ids[place].as_py().encode())
        if at == len(self) or self._ids[at].as_py() != user_id:
            return None
        place = self._places[at].as_py()
        row = self._rows.get_batch(place // self._size).slice(place % self._size, 1)
        names = [name for name in row.schema.names if name.startswith(FEATURE)]
        return Person(row.select(names).to_pandas().copy(), _items(row))  # torch wants to be able to write


def _items(row: pa.RecordBatch) -> UserItems:
    """The items of the only row of a batch; what the model does not read is empty."""

    def of(name: str, kind: type) -> np.ndarray:
        if name not in row.schema.names:
            return np.zeros(0, kind)
        return row.column(name).flatten().to_numpy(zero_copy_only=False).astype(kind)

    return UserItems(of("liked", np.int64), of("weights", np.float32), of("seen", np.int64), of("sequence", np.int64))
