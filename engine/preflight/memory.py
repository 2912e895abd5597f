"""Memory of a rank, from the size of its model.

Measured on CPU: a rank without a model to speak of takes BASE_BYTES, most of it the libraries. It holds its part of the tables and of their
optimizer once, from the first weights to the last checkpoint, as tests/unit/workers/training/test_first_weights.py measures.
"""

from typing import NamedTuple

from engine.preflight.judgement import Item, size
from engine.preflight.machine import Machine
from engine.spark import GpuRequest
from workers.models import FLOAT, Footprint, MatrixSpec, NetworkSpec
from workers.run import RunSpec

BASE_BYTES, FIT_BASE_BYTES = 1_060_000_000, 900_000_000
DRIVER_BYTES = 900_000_000  # the driver of a run and its JVM
TIGHT = 0.9  # share of the free memory that a run should leave at most
STATES = {"adagrad": 1, "adam": 2, "adamw": 2, "sgd": 0}  # numbers that an optimizer keeps for each weight
LIKE_BYTES = 68  # of a fitted model: a like of train that is held (24) while the matrix before test is read (44); seen with 8 million
COPIES_OF_BATCH = 4  # embeddings of a step: looked up, side by side, and the gradients of both


class Bytes(NamedTuple):
    """What a run takes, in bytes."""

    rank: int = 0  # memory of the rank that holds most
    every: int = 0  # memory of all ranks
    checkpoint: int = 0
    batch: int = 0  # of `rank`, what a step holds
    likes: int = 0  # of `rank`, who liked what


def bytes_of(spec: RunSpec, footprint: Footprint, liked: int = 0) -> Bytes:
    """Memory and checkpoint of a run. liked: liked rows of train, all of which a fitted model holds in its one process."""
    weights = footprint.parameters * FLOAT
    if not isinstance(spec.model, NetworkSpec):
        beside = 2 if isinstance(spec.model, MatrixSpec) else 0
        likes = LIKE_BYTES * liked if isinstance(spec.model, MatrixSpec) else 0
        need = FIT_BASE_BYTES + weights + footprint.working_bytes + likes
        return Bytes(need, need, beside * weights if spec.model.kind in ("item_knn", "markov_chain") else weights, likes=likes)
    train = spec.train
    sizes, together = _tables(spec, footprint), train.processes
    dense = footprint.dense * FLOAT * (1 + STATES[train.dense_optimizer])
    whole = sum(sizes.values()) + dense
    copied = sum(bytes_ for name, bytes_ in sizes.items() if _sharding(spec, name) == "data_parallel") + dense
    cut = sum(bytes_ for name, bytes_ in sizes.items() if _sharding(spec, name) in ("row_wise", "column_wise"))
    placed = _of_features({name: bytes_ for name, bytes_ in sizes.items() if _sharding(spec, name) in ("auto", "table_wise")})
    share = copied + cut / together + max([sum(placed) / together, *placed[:1]])  # what is whole is on one rank
    rest = copied * together + cut + sum(placed)
    batch = _batch(spec, footprint)
    each = BASE_BYTES + batch
    return Bytes(int(each + share), int(each * together + rest), int(whole), int(batch))


def _tables(spec: RunSpec, footprint: Footprint) -> dict[str, int]:
    """Bytes of each table with the states of its optimizer."""
    kind, found = spec.train.table_optimizer, {}
    for table in footprint.tables:
        by_row = kind == "rowwise_adagrad" and _sharding(spec, table.name) != "data_parallel"
        states = table.rows if by_row else table.parameters * STATES["adagrad" if kind == "rowwise_adagrad" else kind]
        found[table.name] = (table.parameters + states) * FLOAT
    return found


def _sharding(spec: RunSpec, table: str) -> str:
    return spec.train.sharding_of.get(table, spec.train.sharding)


def _of_features(sizes: dict[str, int]) -> list[int]:
    """Bytes by feature, the largest first: the tables of one feature stay together."""
    features: dict[str, int] = {}
    for name, bytes_ in sizes.items():
        features[name.split(":")[-1]] = features.get(name.split(":")[-1], 0) + bytes_
    return sorted(features.values(), reverse=True)


def _batch(spec: RunSpec, footprint: Footprint) -> int:
    rows, model = spec.train.batch_size, spec.network
    embeddings = (rows + (model.sampling.candidates if model.sampling else 0)) * sum(table.width for table in footprint.tables)
    return (COPIES_OF_BATCH * embeddings + model.pairs_of_step(rows, spec.train.processes)) * FLOAT


def memory(spec: RunSpec, need: Bytes, on: Machine, largest: str) -> Item:
    """Whether the ranks fit: all of them beside the driver and in a local master, else each of them on its executor.

    Args:
        largest: the largest table, in words.
    """
    ranks, here = spec.train.processes if isinstance(spec.model, NetworkSpec) else 1, True
    if isinstance(spec.model, NetworkSpec):
        here = GpuRequest(ranks, spec.train.local_mode).of_driver
    value = f"about {size(need.rank)} a process" if ranks > 1 else f"about {size(need.rank)}"
    short = size(need.rank)
    if not here:
        return Item(name="Memory", value=f"{value}, on executors whose memory cannot be seen from here", short=short)
    every = need.every + (DRIVER_BYTES if isinstance(spec.model, NetworkSpec) else 0)
    value += f"; {size(every)} with all processes, of {size(on.memory_bytes)}" if ranks > 1 else f", of {size(on.memory_bytes)}"
    change = "Choose a smaller embedding_dim, prepare with a higher min_count or hashed features, or spread the tables over more machines."
    if not isinstance(spec.model, NetworkSpec):
        change = "Choose iALS or popularity, or prepare the data with a higher minimum of interactions an item."
    if need.likes > need.rank / 2:
        largest = "who liked what"
        change = "Choose a network, such as the two-tower: it reads blocks one after another; or prepare fewer rows."
    if need.batch > need.rank / 2:
        largest, change = f"a batch of {spec.train.batch_size:,} rows", f"Choose a batch_size of {spec.train.batch_size // 2:,} or less."
    if every > on.memory_bytes:
        return Item(name="Memory", value=f"{value}, most of it for {largest}", short=short, level="blocked", advice=change)
    if every > TIGHT * on.available_bytes:
        advice = f"Only {size(on.available_bytes)} are free now; end other programs or runs, or the run may be killed."
        return Item(name="Memory", value=value, short=short, level="warning", advice=advice)
    return Item(name="Memory", value=value, short=short)
