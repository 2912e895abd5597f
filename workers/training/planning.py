"""Where tables go: TorchRec's planner, for a training and, on a network without weights, for the plan of one.

On torch's `meta` device a table has a shape and no bytes, so tables of any size are planned in a fraction of a second and without a GPU.
"""

from typing import Any

from torch.distributed.optim import _apply_optimizer_in_backward as apply_optimizer_in_backward
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner
from torchrec.distributed.planner.proposers import GreedyProposer, UniformProposer
from torchrec.distributed.planner.storage_reservations import FixedPercentageStorageReservation
from torchrec.distributed.planner.types import (
    KernelConfig,
    ParameterConstraints,
    Stats,
    Topology,
    TopologyFactory,
    TrainerConfig,
)
from torchrec.distributed.types import ShardingType
from torchrec.modules.embedding_configs import EmbeddingBagConfig
from torchrec.optim import SGD, Adagrad, Adam, RowWiseAdagrad

from workers.cpu import placed
from workers.networks import Ranker
from workers.specs import TrainSpec
from workers.training.planned import Layout

DATA_PARALLEL, TABLE_WISE, ROW_WISE = (kind.value for kind in (ShardingType.DATA_PARALLEL, ShardingType.TABLE_WISE, ShardingType.ROW_WISE))
TABLE_ROW_WISE, COLUMN_WISE = ShardingType.TABLE_ROW_WISE.value, ShardingType.COLUMN_WISE.value
FUSED = {"rowwise_adagrad": RowWiseAdagrad, "adagrad": Adagrad, "adam": Adam, "sgd": SGD}
KEPT_FREE = 0.15  # of a GPU's memory: its context, NCCL, fragments; TorchRec's default too
DENSE_COPIES = 6  # of each weight outside the tables: itself, its gradient, DDP's buckets, two states of Adam; TorchRec's heuristic too
PIPELINED = 20  # copies of the ids of a step: two batches in flight, each with ten; TorchRec's heuristic too
ID = 8  # bytes
NARROWEST = 4  # columns of a part where a person asks for column-wise; left to itself, the planner cuts none below 128
GPU_MEMORY, CPU_MEMORY = 32 << 30, 128 << 30  # of a rank, where nothing else is known: as TorchRec assumes


class Sharder(EmbeddingBagCollectionSharder):
    """Offers row-wise on CPU too: the stock sharder does not, though the kernel is there and was checked."""

    def sharding_types(self, compute_device_type: str) -> list[str]:
        return sorted({*super().sharding_types(compute_device_type), ROW_WISE})

    def compute_kernels(self, sharding_type: str, compute_device_type: str) -> list[str]:
        if sharding_type == ROW_WISE and compute_device_type == "cpu":
            return [EmbeddingComputeKernel.FUSED.value]
        return super().compute_kernels(sharding_type, compute_device_type)


def shardings(network: Ranker, spec: TrainSpec) -> dict[str, str]:
    """Table -> the sharding that the spec names for it.

    Raises:
        ValueError: the spec names a table that the network does not have.
    """
    names = [table.name for table in configs(network)]
    if unknown := spec.sharding_of.keys() - set(names):
        raise ValueError(f"table_sharding names {', '.join(sorted(unknown))}; this model has the tables {', '.join(names)}.")
    return {name: spec.sharding_of.get(name, spec.sharding) for name in names}


def fuse_optimizer(network: Ranker, spec: TrainSpec) -> None:
    """Let the tables that are not data-parallel be updated in the backward pass; the planner counts the optimizer's states then.

    Raises:
        ValueError: as `shardings`.
    """
    wanted = shardings(network, spec)
    bags = {name: bag for ebc in network.collections.values() for name, bag in ebc.embedding_bags.items()}
    fused = [bags[name].weight for name, kind in wanted.items() if kind != DATA_PARALLEL]
    if fused:
        apply_optimizer_in_backward(FUSED[spec.table_optimizer], fused, table_rates(spec))


def table_rates(spec: TrainSpec) -> dict[str, Any]:
    """Learning rate of the tables, and epsilon where their optimizer has one."""
    return {"lr": spec.table_learning_rate} | ({"eps": spec.table_epsilon} if spec.table_optimizer != "sgd" else {})


def places_features(network: Ranker, spec: TrainSpec, layout: Layout) -> bool:
    """Whether tables go by feature, where ranks of a host share memory: the planner does not keep the tables of one feature together."""
    shared = spec.shared_tables and layout.device == "cpu" and layout.ranks > 1
    return shared and {*shardings(network, spec).values()} <= {"auto", TABLE_WISE}


def by_feature(network: Ranker, ranks: int) -> dict[str, int]:
    """Table -> rank, the tables of one feature together."""
    return placed(configs(network), ranks)


def constraints(network: Ranker, spec: TrainSpec, layout: Layout) -> dict[str, ParameterConstraints]:
    """What the planner may do with each table."""
    wanted, found = shardings(network, spec), {}
    for collection, ebc in network.collections.items():
        for table in ebc.embedding_bag_configs():
            kind = wanted[table.name]
            found[table.name] = ParameterConstraints(
                sharding_types=_usual(layout, collection, table.num_embeddings) if kind == "auto" else [kind],
                compute_kernels=[(EmbeddingComputeKernel.DENSE if kind == DATA_PARALLEL else EmbeddingComputeKernel.FUSED).value],
                min_partition=NARROWEST if kind == COLUMN_WISE else None,
            )
    return found


def _usual(layout: Layout, collection: str, rows: int) -> list[str]:
    """The shardings that the planner chooses from by itself."""
    if layout.ranks == 1 or layout.device == "cpu":  # cutting a table gains nothing there: each part would look up all ids again
        return [TABLE_WISE]
    kinds = [TABLE_WISE, COLUMN_WISE]
    if collection != "ebc":  # it looks up as many ids as its rank has, and tables cut by rows need equal batches on all ranks
        return kinds
    kinds += [ROW_WISE] if _fills(rows, layout.ranks) else []
    return kinds + ([TABLE_ROW_WISE] if 1 < layout.of_host < layout.ranks and _fills(rows, layout.of_host) else [])


def _fills(rows: int, ranks: int) -> bool:
    """Whether no rank is without rows where each takes as many as the first."""
    return -(-rows // ranks) * (ranks - 1) < rows


def reserved_bytes(network: Ranker, spec: TrainSpec, layout: Layout, step_bytes: int = 0) -> int:
    """Memory of a rank that tables may not take.

    Args:
        step_bytes: what a step holds beside the embeddings, such as logits of all candidates.
    """
    tables = {id(weight) for ebc in network.collections.values() for weight in ebc.parameters()}
    dense = sum(weight.numel() * weight.element_size() for weight in network.parameters() if id(weight) not in tables)
    ids = sum(len(table.feature_names) for table in configs(network))
    free = KEPT_FREE * memory_of(layout) if layout.device == "cuda" else 0
    return int(free + DENSE_COPIES * dense + PIPELINED * ID * ids * spec.batch_size + step_bytes)


def memory_of(layout: Layout) -> int:
    """Bytes of a rank."""
    return layout.memory_bytes or (GPU_MEMORY if layout.device == "cuda" else CPU_MEMORY)


def planner_of(
    network: Ranker, spec: TrainSpec, layout: Layout, step_bytes: int = 0, stats: Stats | None = None
) -> EmbeddingShardingPlanner:
    """TorchRec's planner for a network whose optimizer is fused.

    Args:
        step_bytes: as in `reserved_bytes`.
        stats: what logs the plan; TorchRec's own where None.
    """
    return EmbeddingShardingPlanner(
        topology=topology_of(layout, memory_of(layout) - reserved_bytes(network, spec, layout, step_bytes)),
        batch_size=spec.batch_size,
        constraints=constraints(network, spec, layout),
        storage_reservation=FixedPercentageStorageReservation(0.0),  # the topology has no more than what is left for tables
        # without the grid of all proposals: for 8 tables it took 2 s where these take 0.05, and its plan was rated 1 % better
        proposer=[GreedyProposer(), GreedyProposer(use_depth=False), UniformProposer()],
        stats=stats,
    )


def topology_of(layout: Layout, left: int) -> Topology:
    """The ranks as the planner takes them. left: bytes of a rank for tables."""
    of_table = {"hbm_cap_bytes": max(1, left)} if layout.device == "cuda" else {"ddr_cap_bytes": max(1, left)}
    ranks = TrainerConfig(world_size=layout.ranks, local_world_size=layout.of_host, **of_table)
    return TopologyFactory.create_topology(ranks, kernel_config=KernelConfig(compute_device=layout.device))


def configs(network: Ranker) -> list[EmbeddingBagConfig]:
    """The tables of a network."""
    return [table for ebc in network.collections.values() for table in ebc.embedding_bag_configs()]
