"""From the planner to DistributedModelParallel: tables split over ranks, their optimizer fused into the backward pass."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torch.distributed.optim import _apply_optimizer_in_backward as apply_optimizer_in_backward
from torchrec.distributed import DistributedModelParallel
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.distributed.sharding_plan import construct_module_sharding_plan, table_wise
from torchrec.distributed.types import ShardingPlan, ShardingType
from torchrec.optim import SGD, Adagrad, Adam, RowWiseAdagrad
from torchrec.optim.keyed import KeyedOptimizer
from torchrec.optim.optimizers import in_backward_optimizer_filter

from workers.artifacts import OPTIMIZER
from workers.cpu import placed, use_shared_tables
from workers.networks import Batch, Ranker
from workers.specs import TrainSpec

DATA_PARALLEL, TABLE_WISE = ShardingType.DATA_PARALLEL.value, ShardingType.TABLE_WISE.value
FUSED = {"rowwise_adagrad": RowWiseAdagrad, "adagrad": Adagrad, "adam": Adam, "sgd": SGD}
# tables that every rank holds whole are updated by torch, which has no row-wise Adagrad
REPLICATED: dict[str, Any] = {
    "rowwise_adagrad": torch.optim.Adagrad, "adagrad": torch.optim.Adagrad, "adam": torch.optim.Adam, "sgd": torch.optim.SGD,
}  # fmt: skip
Plan = dict[str, dict[str, Any]]  # table -> sharding, kernel, and shards (rank, offsets, sizes); ready for JSON


class LossModule(nn.Module):
    """The module that is distributed: its forward pass is the model's loss, so that gradients are averaged over ranks."""

    def __init__(self, model: Ranker) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model.loss(batch)


class _Sharder(EmbeddingBagCollectionSharder):
    """Offers row-wise on CPU too: the stock sharder does not, though the kernel is there and was checked."""

    def sharding_types(self, compute_device_type: str) -> list[str]:
        return sorted({*super().sharding_types(compute_device_type), ShardingType.ROW_WISE.value})

    def compute_kernels(self, sharding_type: str, compute_device_type: str) -> list[str]:
        if sharding_type == ShardingType.ROW_WISE.value and compute_device_type == "cpu":
            return [EmbeddingComputeKernel.FUSED.value]
        return super().compute_kernels(sharding_type, compute_device_type)


@dataclass
class Optimizers:
    """Update the weights of a distributed model: tables in the backward, all others in `step`."""

    fused: KeyedOptimizer  # of the sharded tables; has no parameters where every table is data-parallel
    dense: list[torch.optim.Optimizer]
    clip: float | None = None

    def __post_init__(self) -> None:
        self._rates = [group["lr"] for group in self._groups()]
        self._clipped = [weight for one in self.dense[:1] for group in one.param_groups for weight in group["params"]]

    def _groups(self) -> list[dict[str, Any]]:
        return [group for one in (self.fused, *self.dense) for group in one.param_groups]

    def set_rate(self, factor: float) -> None:
        """Multiply every learning rate of the spec, before the backward of a step."""
        for group, rate in zip(self._groups(), self._rates, strict=True):
            group["lr"] = rate * factor
        self.fused.zero_grad()  # passes the rate on to fbgemm; there is no gradient to drop

    def zero_grad(self) -> None:
        for one in self.dense:
            one.zero_grad(set_to_none=True)

    def step(self) -> None:
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._clipped, self.clip)
        for one in self.dense:
            one.step()


class DistributedModel(NamedTuple):
    """A network whose tables are spread over the ranks, with what trains it."""

    module: DistributedModelParallel  # around a LossModule
    optimizers: Optimizers
    plan: Plan
    device: torch.device

    @property
    def network(self) -> Ranker:
        """The network itself, with its sharded tables."""
        network: Ranker = self.module.module.model
        return network


def distribute(model: Ranker, spec: TrainSpec, device: torch.device) -> DistributedModel:
    """Shard the tables as the spec and the planner say and wrap the rest in DDP. A collective call.

    Raises:
        ValueError: the spec names a table that the model does not have.
    """
    module, shared_tables = LossModule(model), spec.shared_tables and device.type == "cpu"
    wanted, collections = _shardings(model, spec), model.collections
    bags = {name: bag for ebc in collections.values() for name, bag in ebc.embedding_bags.items()}
    fused = [bags[name].weight for name, kind in wanted.items() if kind != DATA_PARALLEL]
    if fused:
        apply_optimizer_in_backward(FUSED[spec.table_optimizer], fused, _rates(spec))
    world, sharders = dist.get_world_size(), [_Sharder()]
    plan = _plan(module, wanted, sharders, device, shared_tables)
    data_parallel = world > 1 or not shared_tables  # one rank has no gradients to average
    distributed = DistributedModelParallel(module, device=device, plan=plan, sharders=sharders, init_data_parallel=data_parallel)
    if shared_tables:
        use_shared_tables(distributed, together=model.side_by_side, timeout_s=spec.timeout_s)
    return DistributedModel(distributed, _optimizers(distributed, spec), _describe(distributed.plan), device)


def _plan(
    module: LossModule, wanted: dict[str, str], sharders: list[EmbeddingBagCollectionSharder], device: torch.device, shared_tables: bool
) -> ShardingPlan:
    """Which rank has which tables; a collective call. wanted: table -> the sharding that the spec names."""
    world = dist.get_world_size()
    if world > 1 and shared_tables and {*wanted.values()} <= {"auto", TABLE_WISE}:
        # the planner does not keep the tables of one feature together
        collections = module.model.collections
        ranks = placed([table for ebc in collections.values() for table in ebc.embedding_bag_configs()], world)
        each = {name: table_wise(rank, compute_kernel=EmbeddingComputeKernel.FUSED.value) for name, rank in ranks.items()}
        hosts = (sharders[0], min(world, 8), world, device.type)
        plans = {
            f"model.{name}": construct_module_sharding_plan(ebc, {table: each[table] for table in ebc.embedding_bags}, *hosts)
            for name, ebc in collections.items()
        }
        return ShardingPlan(plans)
    # on one rank, and on CPUs, cutting a table gains nothing: each part would look up all ids again
    cut = world > 1 and device.type != "cpu"
    usual = [TABLE_WISE, ShardingType.COLUMN_WISE.value] if cut else [TABLE_WISE]
    constraints = {
        name: ParameterConstraints(
            sharding_types=usual if kind == "auto" else [kind],
            compute_kernels=[(EmbeddingComputeKernel.DENSE if kind == DATA_PARALLEL else EmbeddingComputeKernel.FUSED).value],
            min_partition=4,
        )
        for name, kind in wanted.items()
    }
    topology = Topology(world_size=world, compute_device=device.type, local_world_size=min(world, 8))
    planner = EmbeddingShardingPlanner(topology=topology, constraints=constraints)
    return planner.collective_plan(module, sharders, dist.group.WORLD)


def _shardings(model: Ranker, spec: TrainSpec) -> dict[str, str]:
    """Table -> the sharding that the spec names for it."""
    names = [table.name for ebc in model.collections.values() for table in ebc.embedding_bag_configs()]
    if unknown := spec.sharding_of.keys() - set(names):
        raise ValueError(f"table_sharding names {', '.join(sorted(unknown))}; this model has the tables {', '.join(names)}.")
    return {name: spec.sharding_of.get(name, spec.sharding) for name in names}


def _rates(spec: TrainSpec) -> dict[str, Any]:
    """Learning rate of the tables, and epsilon where their optimizer has one."""
    return {"lr": spec.table_learning_rate} | ({"eps": spec.table_epsilon} if spec.table_optimizer != "sgd" else {})


def _optimizers(distributed: DistributedModelParallel, spec: TrainSpec) -> Optimizers:
    """Optimizers for what is in no fused table: data-parallel tables at the tables' rate, all other weights at theirs."""
    left = dict(in_backward_optimizer_filter(distributed.named_parameters()))
    tables = [weight for name, weight in left.items() if ".ebc." in f".{name}"]
    others = [weight for name, weight in left.items() if ".ebc." not in f".{name}"]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[spec.dense_optimizer]
    dense: list[torch.optim.Optimizer] = []
    if others:
        dense.append(kind(others, lr=spec.dense_learning_rate, weight_decay=spec.weight_decay, fused=True))
    if tables:
        dense.append(REPLICATED[spec.table_optimizer](tables, **_rates(spec)))
    return Optimizers(distributed.fused_optimizer, dense, spec.gradient_clip if others else None)


def fused_state(optimizers: Optimizers) -> dict[str, Any]:
    """The states of the optimizers of sharded tables, by name, sharded as the tables are."""
    return {
        f"{OPTIMIZER}{weight}.{name}": value
        for weight, state in optimizers.fused.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, torch.Tensor | ShardedTensor)
    }


def optimizer_state(optimizers: Optimizers) -> dict[str, Any]:
    """The states of all optimizers, by name: sharded as the tables are, or whole and the same on every rank."""
    states = fused_state(optimizers)
    for place, one in enumerate(optimizers.dense):
        for at, weight in enumerate(weight for group in one.param_groups for weight in group["params"]):
            states |= {f"{OPTIMIZER}{place}.{at}.{name}": torch.as_tensor(value) for name, value in one.state.get(weight, {}).items()}
    return states


def restore_dense(optimizers: Optimizers, states: Mapping[str, torch.Tensor]) -> None:
    """Give the dense optimizers back the states that `optimizer_state` returned; the fused ones' tensors are copied into in place."""
    for place, one in enumerate(optimizers.dense):
        for at, weight in enumerate(weight for group in one.param_groups for weight in group["params"]):
            start = f"{OPTIMIZER}{place}.{at}."
            state = {name.removeprefix(start): value for name, value in states.items() if name.startswith(start)}
            if state:
                one.state[weight] = {name: value.clone() for name, value in state.items()}


def optimizers_fit(optimizers: Optimizers, states: Mapping[str, torch.Tensor]) -> bool:
    """Whether the states that `optimizer_state` returned are of these dense optimizers: of as many weights, each of its shape."""
    weights = {
        f"{OPTIMIZER}{place}.{at}": weight
        for place, one in enumerate(optimizers.dense)
        for at, weight in enumerate(weight for group in one.param_groups for weight in group["params"])
    }
    of = {name: name.rpartition(".")[0] for name in states}
    return all(of[name] in weights and (not value.dim() or value.shape == weights[of[name]].shape) for name, value in states.items())


def _describe(plan: ShardingPlan) -> Plan:
    tables: Plan = {}
    for module_plan in plan.plan.values():
        for name, sharding in module_plan.items():
            tables[name] = {
                "sharding": sharding.sharding_type,
                "kernel": sharding.compute_kernel,
                "shards": [
                    {"rank": s.placement.rank(), "offsets": list(s.shard_offsets), "sizes": list(s.shard_sizes)}
                    for s in (sharding.sharding_spec.shards if sharding.sharding_spec else [])
                ],
            }
    return tables
