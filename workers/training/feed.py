"""The batches of a rank, epoch by epoch, and where in them it is."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist

from workers.artifacts import SEQUENCES, TRAIN, PreparedDataset, checkpoint
from workers.batches import (
    POOL_BLOCKS,
    Columns,
    EpochReader,
    LearnedRows,
    Position,
    Sampler,
    divided,
    of_share,
    open_split,
    table_columns,
)
from workers.evaluation import catalogue
from workers.networks import Batch
from workers.run import RunContext, RunSpec, segments
from workers.specs import Sampling
from workers.training.progress import Progress

if TYPE_CHECKING:
    from workers.batches import NumberedBlocks

PLACES = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE")  # what StreamingDataset gives a rank its blocks by


class Feed:
    """The batches of each epoch, for this rank. All ranks make the same number of steps.

    Args:
        begun: the epoch of the weights that the run began with.
        learned: what the run learns from.
        stream: of `open_stream`, where several trainings of this process share one.
    """

    def __init__(self, context: RunContext[RunSpec], begun: int, learned: LearnedRows, stream: "NumberedBlocks | None" = None) -> None:
        spec, dataset = context.spec, context.dataset
        self.spec, self.dataset, self.begun, self.liked_only = spec, dataset, begun, spec.network.liked_only
        self.stream = stream or open_stream(context, begun)
        self.rows: float = learned.liked if self.liked_only else learned.rows
        if not self.rows:
            raise ValueError(f"user_share is {spec.train.user_share:g}, and these users like nothing in train; choose a larger share.")
        self.size = spec.train.batch_size  # what the reader counts, of a batch
        self.together: float = self.size * dist.get_world_size()  # rows of a step
        self.steps = math.ceil(self.rows / self.together)  # of a whole epoch
        self.sampler = _sampler(spec.network.sampling, dataset, learned.by_item, [spec.train.seed, begun, dist.get_rank()])
        self.reader: EpochReader | None = None
        self._resumed, self._rows_before, self._exact = dict[int, Position](), 0, True

    def left(self, epoch: int) -> int:
        """Steps of an epoch, without those that were taken before it was resumed."""
        if epoch not in self._resumed:
            return self.steps
        if self._exact:
            return self.steps - self._resumed[epoch].made
        return max(0, math.ceil((self.rows - self._rows_before) / self.together))

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch: `left` of them."""
        spec, begin, rank = self.spec.train, self._resumed.get(epoch), dist.get_rank()
        steps = self.left(epoch)
        if begin and not steps:
            return
        self.stream.left_out = frozenset(begin.read.tolist()) if begin else frozenset()
        self.stream.next_epoch = epoch - self.begun - 1  # an attempt that was killed does not count
        rng = np.random.default_rng([spec.seed, epoch, rank] + ([self._rows_before] if begin else []))
        steps += begin.made if begin else 0
        self.reader = reader = self.read(steps, rng, begin)
        yield from map(self.sampler, reader) if self.sampler else reader

    def read(self, steps: int, rng: np.random.Generator, begin: Position | None) -> EpochReader:
        """One epoch; arguments as of `EpochReader`."""
        pool = math.ceil(max(POOL_BLOCKS, 2 * self.size // self.dataset.block_rows + 1) / self.spec.train.user_share)
        return EpochReader(self.blocks(), self.dataset.schema, self.size, steps, pool, rng, self.liked_only, begin)

    def blocks(self) -> Iterable[Mapping[str, np.ndarray] | None]:
        """Those of the stream, with the rows alone that are learned from."""
        return (block and of_share(block, self.spec.train.user_share) for block in self.stream)

    def position(self, done: bool) -> checkpoint.Position:
        """Where this rank is, and the states of its random numbers, for a checkpoint. done: whether the epoch is through."""
        arrays = {"torch": torch.get_rng_state().numpy()}
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            arrays["cuda"] = torch.cuda.get_rng_state().numpy()
        if self.sampler:
            arrays["sampler"] = self.sampler.random.get_state().numpy()
        texts = {"places": json.dumps([os.environ.get(name) for name in PLACES])}
        if done or self.reader is None:
            return arrays, texts
        at = self.reader.position()
        parts = {"pool": at.pool, "begun": at.begun} | {f"later{k}": columns for k, columns in enumerate(at.later)}
        arrays |= {f"{part}/{name}": column for part, columns in parts.items() for name, column in columns.items()} | {"read": at.read}
        numbers = {"made": at.made, "at": at.at, "begun_blocks": at.begun_blocks, "random": at.random}
        return arrays, texts | {"position": json.dumps(numbers)}

    def resume(self, folder: Path, progress: Progress) -> bool:
        """Collective: go on where the ranks that wrote a checkpoint were; returns whether these are the same ranks at the same places."""
        rank, world, before = dist.get_rank(), dist.get_world_size(), checkpoint.ranks_of(folder)
        arrays, texts = checkpoint.load_position(folder, rank) if rank < before else ({}, {})
        same = before == world and json.loads(texts["places"]) == [os.environ.get(name) for name in PLACES]
        agreed = torch.tensor(int(same))
        dist.all_reduce(agreed, op=dist.ReduceOp.MIN)
        self._exact, self._rows_before = bool(agreed), progress.epoch_rows
        if self._exact:
            self._resume_random(arrays)
        if not progress.done:
            positions = [_position(*checkpoint.load_position(folder, one)) for one in ([rank] if self._exact else range(before))]
            own = positions[0] if self._exact else divided(positions, rank, world, self.liked_only)
            self._resumed[progress.epoch] = own
        return self._exact

    def _resume_random(self, arrays: dict[str, np.ndarray]) -> None:
        torch.set_rng_state(torch.from_numpy(arrays["torch"]))
        if "cuda" in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda"]))
        if self.sampler:
            self.sampler.random.set_state(torch.from_numpy(arrays["sampler"]))


def open_stream(context: RunContext[RunSpec], begun: int) -> "NumberedBlocks":
    """The blocks of train, or of its sequences, in an order of each epoch's own. It holds files and shared memory until the process ends.

    begun: as in `Feed`.
    """
    split = SEQUENCES if context.spec.network.reads_order else TRAIN
    stream = open_split(context.dataset.folder, split, shuffle=True, seed=context.spec.train.seed + begun)
    if dist.get_rank() == 0 and (number := getattr(stream, "_shm_prefix_int", None)) is not None:
        segments.record(context.folder, number)  # so that they can be removed where this process is killed
    return stream


def _position(arrays: dict[str, np.ndarray], texts: dict[str, str]) -> Position:
    """What `Feed.position` wrote of an epoch."""
    numbers: dict[str, Any] = json.loads(texts["position"])
    parts: dict[str, Columns] = {}
    for name, array in arrays.items():
        part, slash, column = name.partition("/")
        if slash:
            parts.setdefault(part, {})[column] = array
    later = []
    for place in count():
        if f"later{place}" not in parts:
            break
        later.append(parts[f"later{place}"])
    return Position(
        numbers["made"],
        parts.get("pool", {}),
        numbers["at"],
        tuple(later),
        parts.get("begun", {}),
        numbers["begun_blocks"],
        arrays["read"],
        numbers["random"],
    )


def _sampler(wanted: Sampling | None, dataset: PreparedDataset, by_item: np.ndarray, seed: list[int]) -> Sampler | None:
    if wanted is None:
        return None
    columns = table_columns(catalogue(dataset.folder), dataset.schema, "item")
    return Sampler(wanted, dataset.schema, columns, torch.from_numpy(by_item[1:]).float(), int(np.random.default_rng(seed).integers(2**62)))
