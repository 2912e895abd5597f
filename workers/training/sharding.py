"""From the planner to DistributedModelParallel: tables split over ranks, their optimizer fused into the backward pass."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torchrec.distributed import DistributedModelParallel
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.sharding_plan import construct_module_sharding_plan, table_wise
from torchrec.distributed.types import ShardingPlan
from torchrec.optim.keyed import KeyedOptimizer
from torchrec.optim.optimizers import in_backward_optimizer_filter

from workers.artifacts import OPTIMIZER
from workers.cpu import use_shared_tables
from workers.networks import Batch, Ranker
from workers.specs import TrainSpec
from workers.training.first_weights import draw, undrawn
from workers.training.planned import Layout
from workers.training.planning import Sharder, by_feature, configs, fuse_optimizer, places_features, planner_of, table_rates

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


def distribute(model: Ranker, spec: TrainSpec, device: torch.device, step_bytes: int = 0) -> DistributedModel:
    """Shard the tables as the spec and the planner say, draw their first weights, and wrap the rest in DDP. A collective call.

    The tables of `model` may be on torch's meta device, and their weights are not read.

    Args:
        step_bytes: memory that a step takes beside the embeddings of its rows, which the planner leaves free.

    Raises:
        ValueError: the spec names a table that the model does not have.
    """
    module, shared_tables = LossModule(model), spec.shared_tables and device.type == "cpu"
    fuse_optimizer(model, spec)
    world, sharders = dist.get_world_size(), [Sharder()]
    plan = _plan(module, spec, sharders, _layout(device), step_bytes)
    data_parallel = world > 1 or not shared_tables  # one rank has no gradients to average
    tables = configs(model)
    with undrawn(tables):
        distributed = DistributedModelParallel(module, device=device, plan=plan, sharders=sharders, init_data_parallel=data_parallel)
    if shared_tables:
        use_shared_tables(distributed, together=model.side_by_side, timeout_s=spec.timeout_s)
    draw(distributed.state_dict(), tables, spec.seed, device)
    return DistributedModel(distributed, _optimizers(distributed, spec), _describe(distributed.plan), device)


def _layout(device: torch.device) -> Layout:
    """The ranks of this run. On GPUs the planner knows their memory and how many a host has."""
    world = dist.get_world_size()
    if device.type != "cuda":
        return Layout(world, min(world, 8), "cpu")
    return Layout(world, _of_host(), "cuda", torch.cuda.get_device_properties(device).total_memory)


def _of_host() -> int:
    """Ranks of each host, 1 where hosts differ: no table is then cut over the ranks of one host. A collective call."""
    every = [0] * dist.get_world_size()
    dist.all_gather_object(every, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return every[0] if len(set(every)) == 1 and len(every) % every[0] == 0 else 1


def _plan(
    module: LossModule, spec: TrainSpec, sharders: list[EmbeddingBagCollectionSharder], layout: Layout, step_bytes: int
) -> ShardingPlan:
    """Which rank has which tables; a collective call."""
    network: Ranker = module.model
    if not places_features(network, spec, layout):
        planner = planner_of(network, spec, layout, step_bytes=step_bytes)
        return planner.collective_plan(module, sharders, dist.group.WORLD)
    ranks = by_feature(network, layout.ranks)
    each = {name: table_wise(rank, compute_kernel=EmbeddingComputeKernel.FUSED.value) for name, rank in ranks.items()}
    hosts = (sharders[0], layout.of_host, layout.ranks, layout.device)
    plans = {
        f"model.{name}": construct_module_sharding_plan(ebc, {table: each[table] for table in ebc.embedding_bags}, *hosts)
        for name, ebc in network.collections.items()
    }
    return ShardingPlan(plans)


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
        dense.append(REPLICATED[spec.table_optimizer](tables, **table_rates(spec)))
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
