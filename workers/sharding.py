"""Planner to DistributedModelParallel: tables split over ranks, their optimizer fused into the backward."""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.optim import _apply_optimizer_in_backward as apply_optimizer_in_backward
from torchrec.distributed import DistributedModelParallel
from torchrec.distributed.embedding_types import EmbeddingComputeKernel
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.types import ParameterConstraints
from torchrec.distributed.types import ShardingType
from torchrec.optim import RowWiseAdagrad
from torchrec.optim.keyed import KeyedOptimizerWrapper
from torchrec.optim.optimizers import in_backward_optimizer_filter

from workers.modules.ranker import Batch, Ranker
from workers.specs import TrainSpec


class LossModule(nn.Module):
    """What is distributed: the model's loss as a forward pass, so that gradients are averaged over ranks."""

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


def distribute(
    model: Ranker, spec: TrainSpec, device: torch.device
) -> tuple[DistributedModelParallel, torch.optim.Optimizer | None, dict[str, Any]]:
    """Shard the tables as the planner says and wrap the rest in DDP.

    Returns:
        The distributed LossModule; Adam over every weight that is not in a fused table (None when there is none); the
        plan in use: for each table its sharding, kernel and shards, ready for JSON.
    """
    module = LossModule(model)
    apply_optimizer_in_backward(RowWiseAdagrad, model.ebc.parameters(), {"lr": spec.table_learning_rate})
    sharders = [_Sharder()]
    world = dist.get_world_size()
    allowed = None if spec.sharding == "auto" else [spec.sharding]
    constraints = {
        table.name: ParameterConstraints(
            sharding_types=allowed or [ShardingType.TABLE_WISE.value, ShardingType.COLUMN_WISE.value],
            compute_kernels=[EmbeddingComputeKernel.FUSED.value],
            min_partition=4,
        )
        for table in model.ebc.embedding_bag_configs()
    }
    topology = Topology(world_size=world, compute_device=device.type, local_world_size=min(world, 8))
    planner = EmbeddingShardingPlanner(topology=topology, constraints=constraints)
    plan = planner.collective_plan(module, sharders, dist.group.WORLD)
    distributed = DistributedModelParallel(module, device=device, plan=plan, sharders=sharders)
    dense = dict(in_backward_optimizer_filter(distributed.named_parameters()))
    adam = KeyedOptimizerWrapper(dense, lambda weights: torch.optim.Adam(weights, lr=spec.dense_learning_rate)) if dense else None
    return distributed, adam, _describe(distributed.plan)


def _describe(plan: Any) -> dict[str, Any]:
    tables: dict[str, Any] = {}
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
