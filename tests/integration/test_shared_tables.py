"""Ranks of one host that hold whole tables learn what one rank learns from the rows of all, dense weights included."""

import copy
import socket
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed._shard.sharded_tensor import ShardedTensor
from torch.nn.parallel import DistributedDataParallel

from tests import ranks
from tests.contracts.test_models import DENSE, ITEMS, NETWORKS, SCHEMA, USERS, network
from workers.batches.batches import take, to_batch
from workers.cpu import collections, exchange
from workers.cpu import gradients as cpu_gradients
from workers.cpu.collections import LoneTables, SharedTables
from workers.networks.ranker import Batch
from workers.specs.training import TrainSpec
from workers.training.sharding import distribute

ROWS = {name: np.concatenate([column, column[::-1]]) for name, column in (USERS | ITEMS).items() if name.endswith("id") or name == "job"}
BAGS = {
    "history.values": np.array([1, 2, 5, 5, 5, 3, 7]), "history.lengths": np.array([2, 0, 1, 3, 1, 0]),
    "genres.values": np.array([1, 2, 4, 4, 1]), "genres.lengths": np.array([2, 1, 1, 0, 1, 0]),
}  # fmt: skip
EVERY = {**ROWS, **BAGS, "dense": np.concatenate([DENSE, -DENSE]), "label": np.array([1, 0, 1, 0, 0, 1])}
SPEC = TrainSpec(table_learning_rate=0.1, table_epsilon=1e-3, dense_learning_rate=0.01, timeout_s=60)


def _rows(rank: int, world: int) -> Batch:
    mine = take(EVERY, np.arange(6).reshape(world, -1)[rank])
    return to_batch(mine, SCHEMA, 6 // world)


def _learn_all(rank: int, world: int, folder: Path) -> None:
    for model in NETWORKS:
        settings = {"objective": "pointwise"} if "objective" in model.model_fields else {}
        net = network(model, **settings)
        first = {name: value.clone() for name, value in net.state_dict().items()}
        distributed, optimizers, *_ = distribute(net, SPEC, torch.device("cpu"))
        assert type(net.ebc) is (SharedTables if world > 1 else LoneTables)
        hooks = [module._comm_hooks[0][0] for module in distributed.modules() if isinstance(module, DistributedDataParallel)]
        assert hooks == [cpu_gradients.mean_gradients] * (world > 1)
        ranks.restore(distributed.state_dict(), first)
        for _ in range(3):
            optimizers.zero_grad()
            loss, _ = distributed(_rows(rank, world))
            loss.backward()
            optimizers.step()
        twice = [sum(world * found.values().sum() for found in net.look_up(_rows(rank, world))) for _ in range(2)]
        for each in twice:  # a backward after a backward
            each.backward()
        with torch.no_grad():
            logits = net(_rows(rank, world))
            assert net(to_batch(take(EVERY, np.zeros(0, int)), SCHEMA, 0)).shape == (0, 1)
        every = [torch.empty_like(logits) for _ in range(world)]
        dist.all_gather(every, logits)
        found = {name: ranks.whole(value, rank).numpy() for name, value in distributed.state_dict().items()} | {
            "logits": torch.cat(every).numpy()
        }
        if rank == 0:
            np.savez(folder / f"{model.__name__}{world}.npz", **found)


@pytest.mark.slow
@pytest.mark.thorough
def test_two_ranks_learn_what_one_learns_from_the_rows_of_both(tmp_path: Path) -> None:
    for world in (1, 2):
        ranks.side_by_side(world, tmp_path, _learn_all)
    for model in NETWORKS:
        alone, shared = (np.load(tmp_path / f"{model.__name__}{world}.npz") for world in (1, 2))
        assert alone.files == shared.files
        for name in alone.files:
            np.testing.assert_allclose(shared[name], alone[name], rtol=1e-3, atol=1e-5, err_msg=f"{model.__name__} {name}")


def _torchrecs_own_way(rank: int, world: int) -> None:
    net = network(NETWORKS[0])
    distributed = distribute(net, SPEC, torch.device("cpu")).module
    assert not isinstance(net.ebc, SharedTables)
    loss, _ = distributed(_rows(rank, world))
    loss.backward()
    assert loss.isfinite()


def _elsewhere(rank: int, world: int, folder: Path) -> None:
    if rank == 1:
        socket.gethostname = lambda: "elsewhere"  # type: ignore[assignment]
    _torchrecs_own_way(rank, world)


@pytest.mark.slow
@pytest.mark.thorough
def test_ranks_of_several_hosts_go_torchrecs_own_way(tmp_path: Path) -> None:
    ranks.side_by_side(2, tmp_path, _elsewhere)


def _crowded(rank: int, world: int, folder: Path) -> None:
    collections.free_bytes = lambda: 1000 if rank == 0 else 10**9  # type: ignore[assignment]
    _torchrecs_own_way(rank, world)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.fault("F37")
def test_tables_that_do_not_fit_into_shared_memory_stay_where_they_are(tmp_path: Path) -> None:
    printed = ranks.side_by_side(2, tmp_path, _crowded)
    assert "of embedding tables do not fit into the 0 MB that are free in /dev/shm" in printed


def _read(rank: int, world: int, folder: Path) -> None:
    net = network(NETWORKS[0])
    distributed = distribute(net, SPEC, torch.device("cpu")).module
    found: list[torch.Tensor] = []
    for value in (1.0, 2.0, 3.0):
        for sharded in distributed.state_dict().values():  # as a checkpoint is restored
            for shard in sharded.local_shards() if isinstance(sharded, ShardedTensor) else []:
                time.sleep(0.2 * rank)
                shard.tensor.fill_(value)
        with torch.no_grad():
            found.append(torch.cat([part.values() for part in net.look_up(_rows(rank, world))], dim=1))
    assert found[0].any() and torch.equal(found[1], 2 * found[0]) and torch.equal(found[2], 3 * found[0])


@pytest.mark.slow
@pytest.mark.thorough
def test_a_restored_table_is_read_by_nobody_before_it_is_whole(tmp_path: Path) -> None:
    ranks.side_by_side(2, tmp_path, _read)


def _silent(rank: int, world: int, folder: Path) -> None:
    peers = exchange.meet(timeout_s=1)
    assert peers is not None
    if rank == 0:
        with pytest.raises(TimeoutError, match="Rank 1 has sent nothing for 1 s"):
            peers.wait()
        assert not list(Path(tempfile.gettempdir()).glob("ranks-*"))
    dist.barrier()
    if rank == 1:
        peers.sockets[0].close()
    else:
        with pytest.raises(ConnectionError, match="Rank 1 is gone"):
            peers.wait()


def _three(rank: int, world: int, folder: Path) -> None:
    peers = exchange.meet(timeout_s=20)
    assert peers is not None
    for told in range(3):
        found = peers.swap({other: [told, rank, other] * (exchange.NUMBERS // 3) for other in range(world)})
        assert found == {other: [told, other, rank] * (exchange.NUMBERS // 3) for other in {*range(world)} - {rank}}
    peers.arrive()
    peers.wait()


@pytest.mark.slow
@pytest.mark.thorough
def test_three_ranks_tell_each_other_as_much_as_they_may(tmp_path: Path) -> None:
    ranks.side_by_side(3, tmp_path, _three)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_rank_that_says_nothing_or_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ranks.side_by_side(2, tmp_path, _silent)


def _dense(rank: int, world: int, folder: Path) -> None:
    torch.manual_seed(0)
    net = DistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(30, 31), torch.nn.Linear(31, 3)), bucket_cap_mb=0.0001)
    before, sizes, swap = copy.deepcopy(net.module), list[int](), exchange.HostRanks.swap

    def late(peers: exchange.HostRanks, numbers: dict[int, list[int]]) -> dict[int, list[int]]:
        received = swap(peers, numbers)
        time.sleep(0.2 * (rank == 1))  # meanwhile the others leave the gradients of their next step
        return received

    def hook(gradients: cpu_gradients.Gradients, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
        sizes.append(len(bucket.buffer()))
        return cpu_gradients.mean_gradients(gradients, bucket)

    exchange.HostRanks.swap = late  # type: ignore[method-assign]
    peers = exchange.meet(timeout_s=20)
    assert peers is not None
    net.register_comm_hook(cpu_gradients.Gradients(peers), hook)
    learnt: dict[torch.nn.Module, list[torch.Tensor]] = {net: [], before: []}
    for module, gradients in learnt.items():
        for step in range(4):  # without anything else that ranks would wait for each other in
            module.zero_grad()
            module(torch.randn(5, 30, generator=torch.Generator().manual_seed(world * step + rank))).square().mean().backward()
            gradients.append(torch.cat([weight.grad.flatten().clone() for weight in module.parameters()]))  # type: ignore[union-attr]
    for found, own in zip(learnt[net], learnt[before], strict=True):
        every = [torch.empty_like(own) for _ in range(world)]
        dist.all_gather(every, own)
        torch.testing.assert_close(found, torch.stack(every).mean(0))
        dist.all_gather(every, found)
        assert all(torch.equal(one, every[0]) for one in every)
    assert len(sizes) > 4 and sum(sizes) == 4 * sum(weight.numel() for weight in net.parameters())


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("world", [2, 3])
def test_dense_gradients_are_the_mean_over_ranks_and_alike_on_all(tmp_path: Path, world: int) -> None:
    ranks.side_by_side(world, tmp_path, _dense)
