"""What a step sends between ranks of one host that hold whole tables on its CPUs.

Every rank reads all tables where they are, in memory that the ranks share, and writes its lookups and its gradients to such memory for the
rank that holds the table. So ranks wait for each other at two moments: before tables are updated, when all gradients must be there, and
before tables are read again. The second rarely costs time, since ranks make their next batches before it.

Messages go through sockets that ranks read and write themselves: 64 bytes took 16 µs to another rank and back, by gloo's all-to-all 150,
because what gloo sends waits until a thread of its own gets a core, and all cores are at work. Letters: L rows, D width.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from workers.cpu.memory import Memory, all_ranks, open_shared, share
from workers.cpu.tables import Lookup

if TYPE_CHECKING:
    from workers.cpu.parts import RankTables

LONGEST = 90  # bytes of a folder's name, so that every system allows the names of sockets in it
NUMBERS = 20_000  # in a message; as many as fit into a socket's buffer
HANDLES = 250  # that one message can pass


class HostRanks:
    """The other ranks of this host, through Unix sockets that nobody else can reach. All ranks make the same calls in the same order."""

    def __init__(self, sockets: dict[int, socket.socket], timeout_s: float) -> None:
        self.me, self.timeout_s, self.sockets = dist.get_rank(), timeout_s, dict(sorted(sockets.items()))
        self.arrived = False  # whether the others know that this rank waits for them next
        self._buffer = np.empty(NUMBERS, np.int64)
        handles = self._exchange_handles([os.memfd_create("gradients")])
        self.memory = {rank: Memory(handle) for rank, (handle,) in handles.items()}

    @property
    def all(self) -> range:
        return range(len(self.sockets) + 1)

    def share(self, tensors: list[Tensor]) -> dict[int, list[Tensor]]:
        """Share float32 tensors, in place, without their values; returns those of the other ranks, flat: views that follow changes."""
        handles = self._exchange_handles([share(tensor) for tensor in tensors])
        return {rank: [open_shared(handle) for handle in handles[rank]] for rank in self.sockets}

    def swap(self, numbers: dict[int, list[int]]) -> dict[int, list[int]]:
        """Send each rank some numbers, at least one and at most NUMBERS; returns what each rank sent.

        Raises:
            TimeoutError: a rank sent nothing for too long. ConnectionError: a rank is gone.
        """
        self._send(numbers)
        return self._receive()

    def arrive(self) -> None:
        """Let the others know that this rank will wait for them next, before it does work that they need not wait for."""
        self._send({rank: [0] for rank in self.sockets})
        self.arrived = True

    def wait(self) -> None:
        """Until all ranks have arrived."""
        if not self.arrived:
            self.arrive()
        self._receive()
        self.arrived = False

    def _send(self, numbers: dict[int, list[int]]) -> None:
        for rank, one in self.sockets.items():
            try:
                one.send(np.array(numbers[rank], np.int64).data)
            except TimeoutError:
                raise self._silent(rank) from None
            except ConnectionError:
                raise self._gone(rank) from None

    def _receive(self) -> dict[int, list[int]]:
        received = {}
        for rank, one in self.sockets.items():
            try:
                size = one.recv_into(self._buffer.data)
            except TimeoutError:
                raise self._silent(rank) from None
            except ConnectionError:
                size = 0
            if not size:
                raise self._gone(rank)
            received[rank] = self._buffer[: size // self._buffer.itemsize].tolist()
        return received

    def _silent(self, rank: int) -> TimeoutError:
        return TimeoutError(f"Rank {rank} has sent nothing for {self.timeout_s:.0f} s; its log says why.")

    def _gone(self, rank: int) -> ConnectionError:
        return ConnectionError(f"Rank {rank} is gone; its log says why.")

    def _exchange_handles(self, own: list[int]) -> dict[int, list[int]]:
        """The handles by which the memory of each rank can be opened."""
        for one in self.sockets.values():
            socket.send_fds(one, [b"."], own)
        return {self.me: own} | {rank: socket.recv_fds(one, 1, HANDLES)[1] for rank, one in self.sockets.items()}


def meet(timeout_s: float) -> HostRanks | None:
    """Connect this rank with all others; None where they are not all on one host that lets them. A collective call."""
    me, world = dist.get_rank(), dist.get_world_size()
    first = [tempfile.mkdtemp(prefix="ranks-") if me == 0 else "", socket.gethostname()]
    dist.broadcast_object_list(first, 0)
    folder = Path(first[0])
    here = socket.gethostname() == first[1] and folder.is_dir() and hasattr(os, "memfd_create")
    one_host = all(all_ranks(here and len(os.fsencode(folder)) < LONGEST))
    sockets: dict[int, socket.socket] = {}
    if one_host:
        with _socket() as server:
            server.settimeout(timeout_s)
            server.bind(str(folder / str(me)))
            server.listen(world)
            dist.barrier()
            for rank in range(me):
                sockets[rank] = _socket()
                sockets[rank].connect(str(folder / str(rank)))
                sockets[rank].send(bytes([me]))
            for _ in range(me + 1, world):
                one, _address = server.accept()
                sockets[one.recv(1)[0]] = one
    for one in sockets.values():
        one.settimeout(timeout_s)
    dist.barrier()
    if me == 0:
        shutil.rmtree(folder)  # connected sockets need no name
    return HostRanks(sockets, timeout_s) if one_host else None


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # whole messages, in their order


def concatenated(lookups: list[Lookup]) -> Lookup:
    """One lookup after another; where some have bags, single rows become bags of one."""
    if len(lookups) == 1:
        return lookups[0]
    bags = None
    if any(one.bags is not None for one in lookups):
        bags = torch.cat([torch.ones(len(one), dtype=torch.long) if one.bags is None else one.bags for one in lookups])
    return Lookup(torch.cat([one.rows for one in lookups]), bags)


def look_up_shared(peers: HostRanks, parts: "list[RankTables]", lookups: list[list[Lookup]]) -> tuple[Tensor, ...]:
    """Embeddings [L, D], or of bags, of each lookup in each shard of each part. A collective call, as is its backward.

    Args:
        lookups: for each part, rows of all its tables, one table below the other.
    """
    peers.wait()  # all ranks have updated their tables, or read a checkpoint
    # a tensor that requires a gradient, so that there is a backward; it updates the tables
    embeddings = _LookUpShared.apply(torch.zeros(0, requires_grad=True), peers, parts, lookups)
    if not torch.is_grad_enabled():
        peers.wait()  # there is no backward, before which nobody changes a table
    return embeddings


class _Context(FunctionCtx):
    peers: HostRanks
    parts: "list[RankTables]"
    lookups: list[list[Lookup]]


LookupGradients = tuple[Lookup, list[list[Tensor]]]  # a lookup in a part, and for each of its shards the gradients of the embeddings


class _LookUpShared(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Context, anchor: Tensor, peers: HostRanks, parts: "list[RankTables]", lookups: list[list[Lookup]]
    ) -> tuple[Tensor, ...]:
        ctx.peers, ctx.parts, ctx.lookups = peers, parts, lookups
        return tuple(
            one.find(shard.weight, shard.mean)
            for part, several in zip(parts, lookups, strict=True)
            for shard in part.shards
            for one in several
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, *gradients: Tensor) -> tuple[None, ...]:
        peers, parts, left = ctx.peers, ctx.parts, iter(gradients)
        own = [
            (concatenated(several), [[next(left) for _ in several] for _ in part.shards])
            for part, several in zip(parts, ctx.lookups, strict=True)
        ]
        if peers.arrived:
            peers.wait()  # a backward after a backward: tables may still be updated from the memory that is overwritten now
        received = peers.swap(_write_gradients(peers, parts, own))
        _update_tables(peers, parts, own, received)
        peers.arrive()
        return None, None, None, None


def _write_gradients(peers: HostRanks, parts: "list[RankTables]", own: list[LookupGradients]) -> dict[int, list[int]]:
    """Write gradients for the ranks that hold the parts; returns what each must know to read them: where they begin, and their sizes."""
    memory, sizes = peers.memory[peers.me], dict[int, list[int]]()
    memory.at = 0
    for part, (lookup, gradients) in zip(parts, own, strict=True):
        if part.rank != peers.me:
            sizes.setdefault(part.rank, [memory.at]).extend((len(lookup.rows), len(lookup.bags_or_none)))
            for numbers in (lookup.rows, lookup.bags_or_none):
                memory.take(len(numbers), dtype=torch.long).copy_(numbers)
            for shard, several in zip(part.shards, gradients, strict=True):
                torch.cat(several, out=memory.take(len(lookup), shard.width, dtype=torch.float32))
    return {rank: sizes.get(rank, [0]) for rank in peers.all}


def _update_tables(peers: HostRanks, parts: "list[RankTables]", own: list[LookupGradients], received: dict[int, list[int]]) -> None:
    """Update this rank's tables by the gradients of all ranks, in the order of the ranks."""
    sizes = {rank: iter(numbers) for rank, numbers in received.items()}
    for rank in peers.sockets:
        peers.memory[rank].at = next(sizes[rank])
    for part, mine in zip(parts, own, strict=True):
        if part.rank == peers.me:
            every = [
                mine if rank == peers.me else _read_gradients(peers.memory[rank], part, next(sizes[rank]), next(sizes[rank]))
                for rank in peers.all
            ]
            lookup = concatenated([one for one, _ in every])
            for place, shard in enumerate(part.shards):
                assert shard.kernel is not None
                shard.kernel.learn(shard.view, lookup, torch.cat([one for _, gradients in every for one in gradients[place]]))


def _read_gradients(memory: Memory, part: "RankTables", rows: int, bags: int) -> LookupGradients:
    lookup = Lookup(memory.take(rows, dtype=torch.long), memory.take(bags, dtype=torch.long) if bags else None)
    return lookup, [[memory.take(len(lookup), shard.width, dtype=torch.float32)] for shard in part.shards]
