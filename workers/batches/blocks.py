"""Rows to MDS blocks, on a Spark executor, and back: one MDS sample is some thousand rows as numpy columns.

Runs inside mapInArrow, partition by partition; imports no Spark and nothing of the driver's side.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workers.artifacts import SEQUENCES, VALID, VALID_SEQUENCES
from workers.batches.checked import CHECK, CHECK_ENCODING, read_block, with_check
from workers.specs import ITEM_ID, USER_ID

if TYPE_CHECKING:
    from streaming.base.format.mds import MDSWriter

BLOCK = "_block"  # of a block that is read: its number in its split
EMPTY = bytes([1 << 2, 0])  # an ndarray of one axis of length 0: how MDS writes a shape, then no values
BLOCK = "_block"  # of a block that is read: its number in its split
PARTITION, SPLIT, WRITTEN = "_partition", "split", "split string, folder string, rows long, blocks long"


def import_streaming() -> ModuleType:
    """The streaming package without the modules that import transformers and torchvision: half of its import time, and not used here.

    Its readers of text, vision and multimodal sets and its DataLoader stay out of this import; a later import gets the real ones.
    """
    if "streaming" in sys.modules:
        return sys.modules["streaming"]
    left_out = {f"streaming.{name}": ModuleType(name) for name in ("text", "vision", "multimodal", "base.dataloader")}
    vars(left_out["streaming.base.dataloader"])["StreamingDataLoader"] = None
    sys.modules.update(left_out)
    try:
        import streaming
    finally:
        for name in left_out:
            sys.modules.pop(name, None)
    for package in (streaming, streaming.base):
        for name in ("text", "vision", "multimodal", "StreamingDataLoader"):
            vars(package).pop(name, None)
        vars(package)["__getattr__"] = _left_out
    return streaming


def _left_out(name: str) -> object:
    if name != "StreamingDataLoader":
        raise AttributeError(name)
    return import_module("streaming.base.dataloader").StreamingDataLoader


def blocks_of(dataset: Path, split: str, first: int = 0, step: int = 1) -> Iterator[dict[str, np.ndarray]]:
    """Every step-th block of a split by index, from `first` on: each row exactly once over all ranks, where StreamingDataset repeats
    some; DamagedError where one is not what was written. Nothing is shared with other ranks or left open: a StreamingDataset per epoch
    would use up the files of a process."""
    import_streaming()
    from streaming.base.local import LocalDataset

    blocks = LocalDataset(str(Path(dataset) / split))
    for index in range(first, len(blocks), step):
        yield read_block(partial(blocks.__getitem__, index), Path(dataset) / split, index)


def sequence_blocks(dataset: Path, splits: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
    """Every block of sequences of train, and then of validation where `splits` have it: a user may be in one block of each."""
    for name in (SEQUENCES, *((VALID_SEQUENCES,) if VALID in splits else ())):
        if name == SEQUENCES or (dataset / name).is_dir():  # nobody may have liked anything in validation
            yield from blocks_of(dataset, name)


def mds_columns(single: tuple[str, ...], multi: tuple[str, ...], dense: tuple[str, ...], extra: tuple[str, ...] = ()) -> dict[str, str]:
    """The MDS encoding of each column of a block."""
    columns = dict.fromkeys(single, "ndarray:int32")
    for name in multi:
        columns |= {f"{name}.values": "ndarray:int32", f"{name}.lengths": "ndarray:int32"}
    if dense:
        columns["dense"] = "ndarray:float32"
    columns |= dict.fromkeys(extra, "ndarray:float32")
    return columns | {"label": "ndarray:float32", "rating": "ndarray:float32", "timestamp": "ndarray:int64"}


@dataclass(frozen=True)
class BlockWriter:
    """A mapInArrow function: writes the rows of a partition, in their order, as blocks of each split under `out`.

    Batches hold `_partition`, `split`, int32 columns `single`, list<int32> columns `multi`, float columns `dense`, and label,
    rating (nan where there is none), timestamp. `extra`: `weight`, and `target`, a number or a list of as many numbers in every
    row. Returns one row per split: split, folder (relative to `out`), rows, blocks.
    """

    out: str
    block_rows: int
    single: tuple[str, ...]
    multi: tuple[str, ...]
    dense: tuple[str, ...]
    extra: tuple[str, ...] = ()

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        open_splits: dict[str, FolderWriter] = {}
        for batch in batches:
            splits = batch.column(SPLIT)
            for split in pc.unique(splits).to_pylist():
                if split not in open_splits:
                    place = Path(self.out) / split, batch.column(PARTITION)[0].as_py()
                    columns = mds_columns(self.single, self.multi, self.dense, self.extra)
                    open_splits[split] = FolderWriter(*place, columns, self.block, self.block_rows)
                open_splits[split].add(batch.filter(pc.equal(splits, split)))
        for split, writer in open_splits.items():
            writer.finish()
            written = {"split": split, "folder": writer.name, "rows": writer.rows, "blocks": writer.blocks}
            yield pa.RecordBatch.from_pylist([written])

    def block(self, rows: pa.Table) -> dict[str, np.ndarray]:
        """Rows as the columns of one block."""
        block = {name: _numpy(rows, name, np.int32) for name in self.single}
        for name in self.multi:
            bags = rows.column(name).combine_chunks()
            block[f"{name}.values"] = bags.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
            block[f"{name}.lengths"] = bags.value_lengths().to_numpy(zero_copy_only=False).astype(np.int32)
        if self.dense:
            block["dense"] = np.stack([_numpy(rows, name, np.float32) for name in self.dense], axis=1)
        block |= {name: _matrix(rows, name) for name in self.extra}
        return block | {
            "label": _numpy(rows, "label", np.float32),
            "rating": _numpy(rows, "rating", np.float32),
            "timestamp": _numpy(rows, "timestamp", np.int64),
        }


def _numpy(rows: pa.Table, name: str, dtype: type[np.generic]) -> np.ndarray:
    return np.ascontiguousarray(rows.column(name).to_numpy(), dtype)


def _matrix(rows: pa.Table, name: str) -> np.ndarray:
    """float32 [n], or [n, A] of lists of A numbers."""
    column = rows.column(name).combine_chunks()
    if not pa.types.is_list(column.type):
        return _numpy(rows, name, np.float32)
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(rows), -1)


@dataclass
class FolderWriter:
    """Collects rows of one partition and cuts them into blocks, which it writes as MDS samples to a new folder under `parent`.

    columns: the MDS encoding of each column of a block. block: turns rows into the columns of one block. block_rows: of all but the last.
    """

    parent: Path
    partition: int
    columns: dict[str, str]
    block: Callable[[pa.Table], dict[str, np.ndarray]]
    block_rows: int
    waiting: list[pa.RecordBatch] = field(default_factory=list)
    held: int = 0
    rows: int = 0
    blocks: int = 0

    def __post_init__(self) -> None:
        self.folder = _new_folder(self.parent, f"part-{self.partition:05d}")
        self.writer = _mds_writer()(columns=self.columns | {CHECK: CHECK_ENCODING}, out=str(self.folder), max_workers=1)

    @property
    def name(self) -> str:
        """The folder, relative to the dataset's."""
        return f"{self.parent.name}/{self.folder.name}"

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows, and write all blocks that are full."""
        self.waiting.append(batch)
        self.held += len(batch)
        if self.held >= self.block_rows:
            self._write(last=False)

    def _write(self, last: bool) -> None:
        rows = pa.Table.from_batches(self.waiting)
        end = self.held if last else self.held - self.held % self.block_rows
        for start in range(0, end, self.block_rows):
            block = rows.slice(start, min(self.block_rows, end - start))
            self.writer.write(with_check(self.block(block)))
            self.rows, self.blocks = self.rows + len(block), self.blocks + 1
        self.waiting, self.held = rows.slice(end).to_batches(), self.held - end

    def finish(self) -> None:
        """Write the rows that are left, and the index of the folder: call it last."""
        if self.held:
            self._write(last=True)
        self.writer.finish()


def _mds_writer() -> "type[MDSWriter]":
    """MDSWriter that also takes arrays without elements, as a block has whose bags are all empty.

    The stock writer refuses them ("0 elements"); the stock reader reads them.
    """
    import_streaming()
    from streaming.base.format.mds import MDSWriter
    from streaming.base.format.mds.encodings import mds_encode

    class Writer(MDSWriter):
        def encode_sample(self, sample: dict[str, np.ndarray]) -> bytes:
            columns = zip(self.column_names, self.column_encodings, strict=True)
            parts = [mds_encode(kind, sample[name]) if sample[name].size else EMPTY for name, kind in columns]
            return np.array([len(part) for part in parts], np.uint32).tobytes() + b"".join(parts)

    return Writer


def _new_folder(parent: Path, name: str) -> Path:
    """A folder of this attempt's own: Spark may try a task twice, and only the folder of the task that succeeded is used."""
    for attempt in range(1000):
        folder = parent / (f"{name}-{attempt}" if attempt else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RuntimeError(f"A thousand attempts at {parent / name} are already there.")


def known_to_train(columns: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """Whether train has the user and the item of each row of a block, as far as the dataset has any: bool [B]."""
    known = np.ones(rows, bool)
    for key in (USER_ID, ITEM_ID):
        if key in columns:
            known &= np.asarray(columns[key]) > 0
    return known
