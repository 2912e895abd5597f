"""StreamingDataset blocks to shuffled batches. A block is some thousand rows as numpy columns, so no Python runs per row."""

import itertools
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
import torch.distributed as dist
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

from workers.artifacts import FEATURE
from workers.batches.blocks import import_streaming
from workers.networks import Batch, Order
from workers.specs import FeatureSchema

if TYPE_CHECKING:
    from workers.batches.numbered import NumberedBlocks

log = logging.getLogger(__name__)
Columns = dict[str, np.ndarray]  # single-valued: [n]; a bag: <name>.values and <name>.lengths; dense: [n, F]
NOTHING = np.zeros(0, np.int32)
SEQUENCE = "sequence"  # likes in order of time, a bag beside the features, for models that read order
AHEAD = 32  # blocks that StreamingDataset prepares in advance; a reader that needs more waits for its tick of 7 ms


def to_batch(columns: Mapping[str, np.ndarray], schema: FeatureSchema, rows: int) -> Batch:
    """Columns of `rows` rows as tensors; a missing feature becomes an empty bag, or zeros."""
    values, lengths = [], []
    for feature in schema.categorical:
        if feature.multi_valued and f"{feature.name}.values" in columns:
            values.append(columns[f"{feature.name}.values"])
            lengths.append(columns[f"{feature.name}.lengths"])
        else:
            values.append(columns.get(feature.name, NOTHING))
            lengths.append(np.full(rows, feature.name in columns, np.int32))
    sparse = KeyedJaggedTensor(
        [f.name for f in schema.categorical],
        torch.from_numpy(np.concatenate([NOTHING, *values], dtype=np.int64)),
        lengths=torch.from_numpy(np.concatenate([NOTHING, *lengths], dtype=np.int32)),
        length_per_key=[len(column) for column in values],
    )
    dense, order = columns.get("dense"), None
    if f"{SEQUENCE}.values" in columns:
        order = Order(*(torch.from_numpy(np.asarray(columns[f"{SEQUENCE}.{part}"], np.int64)) for part in ("values", "lengths")))
    label = torch.from_numpy(np.asarray(columns.get("label", np.zeros(rows)), np.float32))
    return Batch(
        torch.zeros(rows, len(schema.dense)) if dense is None else torch.from_numpy(np.ascontiguousarray(dense, np.float32)),
        sparse,
        label,
        torch.from_numpy(np.asarray(columns.get("weight", np.ones(rows)), np.float32)),
        torch.from_numpy(np.asarray(columns["target"], np.float32)) if "target" in columns else label,
        order=order,
    )


def table_columns(frame: pd.DataFrame, schema: FeatureSchema, side: str) -> Columns:
    """The encoded `feature.*` columns of an items or ranking table as block columns: U or N rows of one side."""
    columns: Columns = {}
    for feature in schema.on(*(("item",) if side == "item" else ("user",))):
        column = frame[FEATURE + feature.name]
        if feature.multi_valued:
            columns[f"{feature.name}.values"], columns[f"{feature.name}.lengths"] = _flat(column)
        else:
            columns[feature.name] = column.to_numpy(np.int32)
    dense = np.zeros((len(frame), len(schema.dense)), np.float32)
    for place in schema.dense_on(side):  # type: ignore[arg-type]
        dense[:, place] = frame[FEATURE + schema.dense[place].name].to_numpy(np.float32)
    return columns | {"dense": dense}


def _flat(column: "pd.Series[Any]") -> tuple[np.ndarray, np.ndarray]:
    """The values of bags one after another, and their lengths: of Arrow's lists without an object for each, or of arrays."""
    if isinstance(column.dtype, pd.ArrowDtype):
        lists = pa.chunked_array(column.array.__arrow_array__()).combine_chunks()  # type: ignore[attr-defined]
        values, lengths = (part.to_numpy(zero_copy_only=False) for part in (lists.flatten(), lists.value_lengths()))
        return values.astype(np.int32), lengths.astype(np.int32)
    bags = [np.asarray(bag, np.int32) for bag in column]
    return np.concatenate([np.zeros(0, np.int32), *bags]), np.array([len(bag) for bag in bags], np.int32)


def num_rows(columns: Mapping[str, np.ndarray]) -> int:
    """Rows of a block."""
    return next(len(column) for name, column in columns.items() if not name.endswith(".values"))


def join(blocks: Sequence[Columns]) -> Columns:
    """Blocks one after another."""
    return blocks[0] if len(blocks) == 1 else {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def take(columns: Columns, rows: np.ndarray) -> Columns:
    """Some rows, in the order given: like numpy.take, bags included."""
    taken: Columns = {}
    for name, column in columns.items():
        if name.endswith(".lengths"):
            starts = np.cumsum(column) - column
            lengths = column[rows]
            ends = np.cumsum(lengths)
            # position in `values` of each value that is taken: its bag's start plus its place in the bag
            places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[rows] - (ends - lengths), lengths)
            bag = name.removesuffix(".lengths") + ".values"
            taken[name], taken[bag] = lengths, columns[bag][places]
        elif not name.endswith(".values"):
            taken[name] = column[rows]
    return taken


def part(columns: Columns, first: int, last: int) -> Columns:
    """Rows from first to before last, not copied."""
    rows: Columns = {}
    for name, column in columns.items():
        start, end = first, last
        if name.endswith(".values"):
            lengths = columns[name.removesuffix(".values") + ".lengths"]
            start = int(lengths[:first].sum())
            end = start + int(lengths[first:last].sum())
        rows[name] = column[start:end]
    return rows


def open_split(dataset: Path, split: str, *, shuffle: bool = False, seed: int = 0) -> "NumberedBlocks":
    """A StreamingDataset over one split, whose blocks have their number as BLOCK; a collective call where ranks run side by side."""
    import_streaming()
    from workers.batches.numbered import NumberedBlocks

    _number_names_from(secrets.randbelow(10**6))
    stream = NumberedBlocks(
        local=str(Path(dataset) / split), shuffle=shuffle, shuffle_seed=seed, batch_size=1, num_canonical_nodes=1, predownload=AHEAD
    )
    if list(signature(stream.prepare_shard).parameters) == ["shard_id", "blocking"]:
        stream.prepare_shard = _once_each(stream.prepare_shard)
    else:
        log.info("StreamingDataset.prepare_shard takes other arguments in this release: each block takes its lock again.")
    return stream


def _number_names_from(number: int) -> None:
    """Let StreamingDataset number the names of its shared memory from rank 0's number on. A collective call where ranks run side by side.

    It takes the first number that is free on the host, counting from 0. Two runs that look at the same moment both take it, or ranks of
    one run choose different ones and wait forever.
    """
    from streaming.base.shared import prefix

    first = torch.tensor(number)
    if dist.is_initialized():
        dist.broadcast(first, 0)
    if hasattr(prefix, "_each_prefix_int"):
        prefix._each_prefix_int = partial(itertools.count, int(first))  # type: ignore[assignment]
    else:
        log.warning("This release of streaming numbers its shared memory in another way: do not start two runs at the same moment.")


def _once_each(prepare: Callable[..., None]) -> Callable[..., None]:
    """Take the lock that all ranks share once for each shard and not for each block, which cost .8 ms of another thread.

    No shard is ever evicted. A call that comes while a shard is being prepared returns as before; the stream waits for the shard elsewhere.
    """
    prepared = set[int]()

    def prepare_once(shard_id: int, blocking: bool = True) -> None:
        if shard_id not in prepared:
            prepare(shard_id, blocking)
            prepared.add(shard_id)

    return prepare_once
