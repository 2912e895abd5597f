"""The door to shared tables: with it and without it every network learns the same weights, and it stays shut where a library is another."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torchrec.distributed.embeddingbag import ShardedEmbeddingBagCollection

from tests import ranks
from tests.contracts.test_models import NETWORKS, SCHEMA, every_model, network
from tests.integration.test_shared_tables import EVERY
from workers.batches.batches import take, to_batch
from workers.cpu import door
from workers.cpu.collections import LoneTables, SharedTables, unwrapped
from workers.cpu.tables import CpuTables
from workers.models.base import NetworkSpec
from workers.specs.training import TrainSpec
from workers.training import sharding
from workers.training.sharding import DistributedModel, distribute

STEPS, CPU = 3, torch.device("cpu")
SPEC = TrainSpec(table_learning_rate=0.1, table_epsilon=1e-3, dense_learning_rate=0.01, timeout_s=60)
STOCK = SPEC.model_copy(update={"shared_tables": False})


def _start(kind: type[NetworkSpec], spec: TrainSpec) -> DistributedModel:
    """A network over the ranks, with the same first weights however it is distributed."""
    net = network(kind, **({"objective": "pointwise"} if "objective" in kind.model_fields else {}))
    first = {name: value.clone() for name, value in net.state_dict().items()}
    model = distribute(net, spec, CPU)
    ranks.restore(model.module.state_dict(), first)
    return model


def _learn(model: DistributedModel, rank: int, world: int) -> dict[str, np.ndarray]:
    """Three steps on this rank's part of the rows; the weights, whole on rank 0."""
    rows = to_batch(take(EVERY, np.arange(6).reshape(world, -1)[rank]), SCHEMA, 6 // world)
    for _ in range(STEPS):
        model.optimizers.zero_grad()
        model.module(rows)[0].backward()
        model.optimizers.step()
    return {name: ranks.whole(value, rank).numpy().copy() for name, value in model.module.state_dict().items()}


def _is_stock(model: DistributedModel) -> bool:
    """Whether TorchRec, fbgemm and DDP run as they came."""
    replicas = [module for module in model.module.modules() if isinstance(module, DistributedDataParallel)]
    kernels = _kernels(model.network.ebc)
    return (
        type(model.network.ebc) is ShardedEmbeddingBagCollection
        and not any(isinstance(kernel, CpuTables) for kernel in kernels)
        and not any(replica._comm_hooks for replica in replicas)
    )


def _kernels(collection: ShardedEmbeddingBagCollection) -> list[nn.Module]:
    """This rank's tables, as fbgemm has them; none where the collection has lost its lookups."""
    return [kernel.emb_module for lookup in getattr(collection, "_lookups", ()) for kernel in unwrapped(lookup)._emb_modules]


def _both_ways(rank: int, world: int, folder: Path, kinds: list[type[NetworkSpec]]) -> None:
    for kind in kinds:
        stock, fast = _start(kind, STOCK), _start(kind, SPEC)
        assert _is_stock(stock)
        assert any(isinstance(module, DistributedDataParallel) for module in stock.module.modules())
        assert type(fast.network.ebc) is (SharedTables if world > 1 else LoneTables)
        theirs, ours = _learn(stock, rank, world), _learn(fast, rank, world)
        assert theirs.keys() == ours.keys()
        for name in theirs if rank == 0 else ():
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-3, atol=1e-5, err_msg=f"{kind.__name__} {name}")


@pytest.fixture
def only_rank(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@every_model
def test_one_rank_learns_the_same_weights_with_and_without_shared_tables(model: type[NetworkSpec], only_rank: None, tmp_path: Path) -> None:
    _both_ways(0, 1, tmp_path, [model])


@pytest.mark.parametrize("kinds", [NETWORKS[:1], pytest.param(NETWORKS[1:], marks=pytest.mark.slow)], ids=lambda kinds: str(len(kinds)))
def test_two_ranks_learn_the_same_weights_with_and_without_shared_tables(kinds: list[type[NetworkSpec]], tmp_path: Path) -> None:
    ranks.side_by_side(2, tmp_path, partial(_both_ways, kinds=kinds))


def _without(module: nn.Module, name: str) -> None:
    """Take a private field away from the collections, kernels or shardings of a distributed module that have it."""
    collections = [one for one in module.modules() if type(one) is ShardedEmbeddingBagCollection]
    kernels = [kernel for one in collections for kernel in _kernels(one)]
    shardings = [sharding for one in collections for sharding in one._embedding_shardings]
    owners = [one for one in (*collections, *kernels, *shardings) if hasattr(one, name)]
    assert owners, name
    for one in owners:
        delattr(one, name)


@pytest.mark.parametrize(
    "name",
    ["_lookups", "_embedding_shardings", "_grouped_embedding_configs_per_rank", "table_names", "momentum1_host", "feature_table_map"],
)
def test_nothing_is_changed_where_a_private_field_is_missing(name: str, only_rank: None, caplog: pytest.LogCaptureFixture) -> None:
    model = _start(NETWORKS[0], STOCK)
    _without(model.module, name)
    with caplog.at_level(logging.WARNING):
        assert not door.use_shared_tables(model.module, together=True, timeout_s=10)
    assert _is_stock(model)
    (record,) = [record for record in caplog.records if record.name == door.__name__]
    assert f".{name}; TorchRec's slower way is taken." in record.getMessage()


def test_a_run_goes_on_in_torchrecs_own_way_where_a_private_field_is_missing(only_rank: None, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = _learn(_start(NETWORKS[0], STOCK), 0, 1)
    parallel = sharding.DistributedModelParallel

    def another_release(*args: object, **settings: object) -> nn.Module:
        module: nn.Module = parallel(*args, **settings)
        _without(module, "table_names")
        return module

    monkeypatch.setattr(sharding, "DistributedModelParallel", another_release)
    model = _start(NETWORKS[0], SPEC)
    assert _is_stock(model)
    weights = _learn(model, 0, 1)
    for name, value in wanted.items():
        np.testing.assert_allclose(weights[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
