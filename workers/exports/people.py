"""Users for whom lists are made, some at a time with the items that are known of them: memory does not grow with their number.

The interactions of a user are scattered over the blocks of train and of validation. One pass distributes them to files of PEOPLE users
each, which are read one at a time. Letters: U users. Memory holds only a place for each user: 4 bytes.
"""

import shutil
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workers.artifacts import RANKING, TEST, USERS, PreparedDataset
from workers.batches import blocks_of, sequence_blocks
from workers.serving import UserItems
from workers.specs import ITEM_ID, USER_ID

PEOPLE = 4096  # users whose interactions are held at once
SPILL = 1 << 19  # interactions held before they are written
ROW = np.dtype([("user", np.int32), ("item", np.int32), ("weight", np.float32), ("kind", np.uint8)])
MET, LIKED, IN_ORDER = range(3)  # kinds of rows: interactions, and the likes of sequences, in their order
NOBODY = np.zeros(0, ROW)


class People(NamedTuple):
    """Some users: their rows of users.parquet, and the items that are known of them before test."""

    frame: pd.DataFrame
    items: list[UserItems]


def chosen(dataset: Path, users: str, file: Path) -> pa.Array | None:
    """Ids of the users that a spec names, as text; None: all. `file`: the chosen ones, one a line."""
    if users == "test":
        return pq.read_table(dataset / RANKING / f"{TEST}.parquet", columns=["user_id"]).column(0).combine_chunks()
    return pa.array(file.read_text(encoding="utf-8").split("\n"), pa.string()) if users == "chosen" else None


def count(dataset: PreparedDataset, wanted: pa.Array | None) -> tuple[int, np.ndarray]:
    """The number of wanted users, and the place of each row of the vocabulary among them, int32 [rows]: -1 for others."""
    places, users = np.full(dataset.num_users + 1, -1, np.int32), 0
    for batch in _batches(dataset.folder, wanted, ["user_id", "row"]):
        rows = batch.column("row").to_numpy()
        places[rows] = np.arange(users, users + len(rows))
        users += len(rows)
    places[0] = -1  # several users may be unknown to train: they have no items
    return users, places


def people(
    dataset: PreparedDataset, wanted: pa.Array | None, places: np.ndarray, scratch: Path, exclude_seen: bool, in_order: bool = False
) -> Iterator[People]:
    """All wanted users in the order of users.parquet, PEOPLE at a time.

    Args:
        places: of `count`. scratch: a folder for the interactions, about 13 bytes each; it is emptied on the way.
        exclude_seen: `seen` holds the items that the user met; it is empty otherwise. in_order: whether `sequence` is read.
    """
    distribute(dataset, places, scratch, in_order)
    for number, table in enumerate(tables(dataset, wanted)):
        yield read(dataset, table, number, scratch, exclude_seen)
        (scratch / str(number)).unlink(missing_ok=True)


def tables(dataset: PreparedDataset, wanted: pa.Array | None) -> Iterator[pa.Table]:
    """The rows of users.parquet of all wanted users in their order, PEOPLE at a time."""
    waiting: list[pa.Table] = []
    for batch in _batches(dataset.folder, wanted, None):
        waiting.append(pa.Table.from_batches([batch]))
        while sum(map(len, waiting)) >= PEOPLE:
            table = pa.concat_tables(waiting)
            yield table.slice(0, PEOPLE)
            waiting = [table.slice(PEOPLE)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting)


def _batches(dataset: Path, wanted: pa.Array | None, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for batch in pq.ParquetFile(dataset / USERS).iter_batches(PEOPLE, columns=columns):
        yield batch if wanted is None else batch.filter(pc.is_in(batch.column("user_id"), value_set=wanted))


def distribute(dataset: PreparedDataset, places: np.ndarray, scratch: Path, in_order: bool) -> None:
    """Append every interaction before test of a wanted user with an item of the catalogue to the file of its users, and the likes of
    sequences after one another."""
    shutil.rmtree(scratch, ignore_errors=True)  # an earlier attempt may have left files, and these are appended to
    scratch.mkdir(parents=True)
    waiting, held = [NOBODY], 0
    for rows in _rows(dataset, places, in_order):
        waiting.append(rows)
        held += len(rows)
        if held >= SPILL:
            _spill(np.concatenate(waiting), scratch)
            waiting, held = [NOBODY], 0
    _spill(np.concatenate(waiting), scratch)


def _rows(dataset: PreparedDataset, places: np.ndarray, in_order: bool) -> Iterator[np.ndarray]:
    """ROWs of wanted users and items of the catalogue, block by block."""
    splits = dataset.known(TEST)
    for block in chain.from_iterable(blocks_of(dataset.folder, split) for split in splits):
        kinds = np.where(block["label"] > 0, LIKED, MET)
        yield _wanted(places[block[USER_ID]], block[ITEM_ID], block.get("weight", np.ones(len(kinds), np.float32)), kinds)
    for block in sequence_blocks(dataset.folder, splits) if in_order else ():
        items = block[f"{ITEM_ID}.values"]
        users = np.repeat(places[block[USER_ID]], block[f"{ITEM_ID}.lengths"])
        yield _wanted(users, items, np.ones(len(items), np.float32), np.full(len(items), IN_ORDER))


def _wanted(place: np.ndarray, items: np.ndarray, weights: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    wanted = (place >= 0) & (items > 0)
    rows = np.empty(int(wanted.sum()), ROW)
    rows["user"], rows["item"], rows["weight"], rows["kind"] = place[wanted], items[wanted] - 1, weights[wanted], kinds[wanted]
    return rows


def _spill(rows: np.ndarray, scratch: Path) -> None:
    rows = rows[np.argsort(rows["user"], kind="stable")]
    numbers, starts = np.unique(rows["user"] // PEOPLE, return_index=True)
    for number, some in zip(numbers, np.split(rows, starts[1:]), strict=False):  # no rows make one empty part and no number
        with (scratch / str(number)).open("ab") as file:
            file.write(some.tobytes())  # errors of `tofile` have no reason


def read(dataset: PreparedDataset, table: pa.Table, number: int, scratch: Path, exclude_seen: bool) -> People:
    """Those of `tables` with this number, with what `distribute` wrote of them."""
    path, frame, most = scratch / str(number), table.to_pandas(), dataset.schema.sequence or 0
    rows = np.fromfile(path, ROW) if path.exists() else NOBODY
    rows = rows[np.argsort(rows["user"], kind="stable")]
    ends = np.searchsorted(rows["user"], number * PEOPLE + np.arange(len(frame) + 1))
    return People(frame, [_items(rows[a:b], exclude_seen, most) for a, b in pairwise(ends)])


def _items(rows: np.ndarray, exclude_seen: bool, most: int) -> UserItems:
    """most: newest likes of a sequence."""
    liked, met, ordered = rows[rows["kind"] == LIKED], rows[rows["kind"] != IN_ORDER], rows[rows["kind"] == IN_ORDER]
    seen = np.unique(met["item"]).astype(np.int64) if exclude_seen else np.zeros(0, np.int64)
    return UserItems(liked["item"].astype(np.int64), liked["weight"].copy(), seen, ordered["item"][-most:].astype(np.int64))
