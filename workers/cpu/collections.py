"""Collections of embedding tables on CPUs: TorchRec's own, without exchanges on one rank, and with shorter ones between several."""

import logging
from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchrec.distributed.embeddingbag import ShardedEmbeddingBagCollection
from torchrec.distributed.sharding.tw_sharding import TwPooledEmbeddingSharding
from torchrec.modules.embedding_configs import EmbeddingBagConfig, PoolingType
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor, KeyedTensor

from workers.cpu.exchange import HostRanks, look_up_shared, meet
from workers.cpu.memory import SHARED, all_ranks, free_bytes
from workers.cpu.parts import RankTables, TableShard
from workers.cpu.tables import CpuTables, Lookup, lookup_of, runs

log = logging.getLogger(__name__)
LOOKUP = 30  # numbers of an embedding that take as long as the rest of a lookup does


def unwrapped(lookup: nn.Module) -> nn.Module:
    """A lookup of a collection itself: those of replicated tables have DDP around them."""
    inner: nn.Module = getattr(lookup, "module", lookup)
    return inner


def wrap_collections(module: nn.Module, together: bool, timeout_s: float) -> None:
    """Give the tables of a distributed module their fast way where there is one; others stay as they are. A collective call.

    Args:
        together: whether the features' embeddings are wanted side by side in one tensor, rather than each on its own.
        timeout_s: how long a rank waits for another.
    """
    for collection in module.modules():
        if type(collection) is ShardedEmbeddingBagCollection:
            kernels = [kernel.emb_module for lookup in collection._lookups for kernel in unwrapped(lookup)._emb_modules]
            wrapped = [CpuTables.wrap(kernel) for kernel in kernels]
            # each table whole on one rank, and none on every rank
            whole = [type(sharding) is TwPooledEmbeddingSharding for sharding in collection._embedding_shardings]
            if all(all_ranks(all(wrapped + whole))):
                _share(collection, kernels, together, timeout_s)


def _share(collection: ShardedEmbeddingBagCollection, kernels: list[CpuTables], together: bool, timeout_s: float) -> None:
    """Let all ranks read the tables of all, if they are on one host and its shared memory has room for the tables."""
    world, peers, own = dist.get_world_size(), None, [kernel.weights_host.detach() for kernel in kernels]
    weights = {dist.get_rank(): own}
    if world > 1:
        peers = meet(timeout_s) if _room_for(sum(weight.nbytes for weight in own)) else None
        if peers is None:
            return
        weights |= peers.share(own)
    collection.parts = _parts(collection, kernels, weights, together)
    collection.__class__, collection.peers = SharedTables if peers else LoneTables, peers
    for kernel in kernels:
        kernel.share = 1 / world  # of the mean over ranks


def _room_for(own: int) -> bool:
    """Whether there is shared memory for the tables of all ranks. own: bytes of this rank's."""
    wanted, free = (sum(all_ranks(own)), min(all_ranks(free_bytes())))
    if wanted > free:
        log.warning(
            "%d MB of embedding tables do not fit into the %d MB that are free in %s: ranks exchange embeddings by gloo, which takes some "
            "times as long. Give the machine or container more of it (docker run --shm-size).", wanted >> 20, free >> 20, SHARED,
        )  # fmt: skip
    return wanted <= free


def placed(tables: Sequence[EmbeddingBagConfig], world: int) -> dict[str, int]:
    """Table -> rank: tables of one feature together, so that its ids are sent once, and about as much to look up on every rank.

    Longest processing time first: Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 1969.
    """
    of_feature: dict[tuple[str, ...], list[EmbeddingBagConfig]] = {}
    for table in tables:
        of_feature.setdefault(tuple(table.feature_names), []).append(table)

    def work(several: list[EmbeddingBagConfig]) -> tuple[int, int]:
        numbers = sum(table.num_embeddings * table.embedding_dim for table in several)
        return sum(LOOKUP + table.embedding_dim for table in several), numbers  # of each row, and to keep

    loads, ranks = [(0, 0)] * world, dict[str, int]()
    for several in sorted(of_feature.values(), key=work, reverse=True):
        rank = loads.index(min(loads))
        loads[rank] = (loads[rank][0] + work(several)[0], loads[rank][1] + work(several)[1])
        ranks |= {table.name: rank for table in several}
    return {table.name: ranks[table.name] for table in tables}


def _parts(
    collection: ShardedEmbeddingBagCollection, kernels: list[CpuTables], weights: dict[int, list[Tensor]], together: bool
) -> list[RankTables]:
    """The parts of all ranks, in the order of the ranks. weights: by rank, one flat tensor for each kernel, as fbgemm keeps them."""
    me, own, parts = dist.get_rank(), iter(kernels), dict[Any, RankTables]()
    left = {rank: iter(flat) for rank, flat in weights.items()}
    for sharding in collection._embedding_shardings:
        for rank, groups in enumerate(sharding._grouped_embedding_configs_per_rank):
            for group in groups:
                kernel, flat, first, at = next(own) if rank == me else None, next(left[rank]), 0, 0
                alike = groupby(enumerate(group.embedding_tables), lambda at: at[1].embedding_dim if together else at[0])
                for tables in ([table for _, table in several] for _, several in alike):
                    features = tuple(name for table in tables for name in table.feature_names)
                    keys = [name for table in tables for name in table.embedding_names]
                    sizes = tuple(table.num_embeddings for table in tables)
                    weight = flat[at : at + sum(sizes) * tables[0].embedding_dim].view(sum(sizes), -1)
                    shard = TableShard(kernel, first, [table.name for table in tables], keys, weight, group.pooling == PoolingType.MEAN)
                    parts.setdefault((rank, features, sizes), RankTables(rank, features, sizes, [])).shards.append(shard)
                    first, at = first + len(tables), at + weight.numel()
    return list(parts.values())


class _Inputs:
    """The ids of a step."""

    def __init__(self, features: KeyedJaggedTensor) -> None:
        names = features.keys()
        self.place = {name: place for place, name in enumerate(names)}
        self.starts = [0, *accumulate(features.length_per_key())]
        self.values, self.bags = features.values(), features.lengths().view(len(names), -1)
        self.single = (self.bags == 1).all(1).tolist()

    def lookups(self, part: RankTables) -> list[tuple[int, int, Lookup]]:
        """First and last + 1 of neighbouring features of a part, and the lookup in their tables."""
        places, lookups = [self.place[name] for name in part.features], []
        for first, last in runs([part.shards[0].width] * len(places), [self.single[place] for place in places]):
            ids = [self.values[self.starts[place] : self.starts[place + 1]] for place in places[first:last]]
            bags = None if self.single[places[first]] else self.bags[places[first]]
            lookups.append((first, last, lookup_of(torch.cat(ids), bags, part.shards[0].tables[first:last], part.sizes[first:last])))
        return lookups


def _keyed(shard: TableShard, first: int, last: int, embeddings: Tensor) -> KeyedTensor:
    return KeyedTensor(shard.keys[first:last], [shard.width] * (last - first), embeddings.view(-1, (last - first) * shard.width))


class LoneTables(ShardedEmbeddingBagCollection):
    """The tables of the only rank: nothing is sent, and embeddings are not copied into one tensor."""

    parts: list[RankTables]

    def forward(self, features: KeyedJaggedTensor) -> list[KeyedTensor]:  # type: ignore[override]
        """The pooled embeddings [B, D] of all features, in some parts."""
        inputs, embeddings = _Inputs(features), []
        for part in self.parts:
            for first, last, lookup in inputs.lookups(part):
                for shard in part.shards:
                    assert shard.kernel is not None
                    embeddings.append(_keyed(shard, first, last, shard.kernel.look_up(shard.first + first, shard.first + last, lookup)))
        return embeddings


class SharedTables(ShardedEmbeddingBagCollection):
    """Tables of several ranks of a host, each whole on one of them."""

    parts: list[RankTables]
    peers: HostRanks

    def forward(self, features: KeyedJaggedTensor) -> list[KeyedTensor]:  # type: ignore[override]
        """The pooled embeddings [B, D] of all features, in some parts. A collective call, as is its backward."""
        inputs = _Inputs(features)
        lookups = [inputs.lookups(part) for part in self.parts]
        below = [
            [one.below(sum(part.sizes[:first])) for first, _, one in several] for part, several in zip(self.parts, lookups, strict=True)
        ]
        embeddings = iter(look_up_shared(self.peers, self.parts, below))
        return [
            _keyed(shard, first, last, next(embeddings))
            for part, several in zip(self.parts, lookups, strict=True)
            for shard in part.shards
            for first, last, _ in several
        ]
