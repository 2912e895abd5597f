"""What a step sends between ranks of one host that hold whole tables on its CPUs.

Every rank reads all tables where they are, in memory that the ranks share, and leaves what it asked for and its gradients in such memory
for who holds the table. So there are two moments at which ranks wait for each other: before tables learn, when all gradients must be there,
and before they are read again. Who comes to the second late was often waited for by nobody, since batches are made in between.

What is told goes through sockets that ranks read and write themselves: 64 bytes took 16 µs to another rank and back, by gloo's all-to-all
150, because what gloo sends waits for a thread of its own to get a core, and all cores are at work. Letters: L rows, D width.
"""

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from workers.cpu.memory import Memory, opened, shared
from workers.cpu.tables import Asked

if TYPE_CHECKING:
    from workers.cpu.parts import RankTables

LONGEST = 90  # bytes of a folder whose sockets have names that every system allows
NUMBERS = 20_000  # in a message; as many as fit into a socket's buffer
HANDLES = 250  # that one message can hand over


class HostRanks:
    """The other ranks of this host, through Unix sockets that nobody else can reach. All ranks take the same calls in the same order."""

    def __init__(self, sockets: dict[int, socket.socket], timeout_s: float) -> None:
        self.me, self.timeout_s, self.sockets = dist.get_rank(), timeout_s, dict(sorted(sockets.items()))
        self.here = False  # whether the others know that this rank is where it waits for them next
        self._heard = np.empty(NUMBERS, np.int64)
        handles = self._handed([os.memfd_create("gradients")])
        self.memory = {rank: Memory(handle) for rank, (handle,) in handles.items()}

    @property
    def all(self) -> range:
        return range(len(self.sockets) + 1)

    def show(self, tensors: list[Tensor]) -> dict[int, list[Tensor]]:
        """Share float32 tensors, in place; those of the other ranks, flat, as they are and will be."""
        handles = self._handed([shared(tensor) for tensor in tensors])
        return {rank: [opened(handle) for handle in handles[rank]] for rank in self.sockets}

    def swap(self, told: dict[int, list[int]]) -> dict[int, list[int]]:
        """Tell each rank some numbers, at least one and at most NUMBERS, and hear what each tells.

        Raises:
            TimeoutError: a rank said nothing for too long. ConnectionError: a rank is gone.
        """
        self._tell(told)
        return self._hear()

    def arrive(self) -> None:
        """Let the others know that this rank will wait for them next, when it has done what they need not wait for."""
        self._tell({rank: [0] for rank in self.sockets})
        self.here = True

    def wait(self) -> None:
        """Until all ranks have arrived."""
        if not self.here:
            self.arrive()
        self._hear()
        self.here = False

    def _tell(self, told: dict[int, list[int]]) -> None:
        for rank, one in self.sockets.items():
            try:
                one.send(np.array(told[rank], np.int64).data)
            except TimeoutError:
                raise self._silent(rank) from None
            except ConnectionError:
                raise self._gone(rank) from None

    def _hear(self) -> dict[int, list[int]]:
        heard = {}
        for rank, one in self.sockets.items():
            try:
                size = one.recv_into(self._heard.data)
            except TimeoutError:
                raise self._silent(rank) from None
            except ConnectionError:
                size = 0
            if not size:
                raise self._gone(rank)
            heard[rank] = self._heard[: size // self._heard.itemsize].tolist()
        return heard

    def _silent(self, rank: int) -> TimeoutError:
        return TimeoutError(f"Rank {rank} has said nothing for {self.timeout_s:.0f} s; its log says why.")

    def _gone(self, rank: int) -> ConnectionError:
        return ConnectionError(f"Rank {rank} is gone; its log says why.")

    def _handed(self, own: list[int]) -> dict[int, list[int]]:
        """What all ranks hand over to open memory by."""
        for one in self.sockets.values():
            socket.send_fds(one, [b"."], own)
        return {self.me: own} | {rank: socket.recv_fds(one, 1, HANDLES)[1] for rank, one in self.sockets.items()}


def meet(timeout_s: float) -> HostRanks | None:
    """Connect this rank with all others; None where they are not all on one host that lets them. A collective call."""
    me, world = dist.get_rank(), dist.get_world_size()
    told = [tempfile.mkdtemp(prefix="ranks-") if me == 0 else "", socket.gethostname()]
    dist.broadcast_object_list(told, 0)
    folder, near = Path(told[0]), [False] * world
    here = socket.gethostname() == told[1] and folder.is_dir() and hasattr(os, "memfd_create")
    dist.all_gather_object(near, here and len(os.fsencode(folder)) < LONGEST)
    sockets: dict[int, socket.socket] = {}
    if all(near):
        with _door() as door:
            door.settimeout(timeout_s)
            door.bind(str(folder / str(me)))
            door.listen(world)
            dist.barrier()
            for rank in range(me):
                sockets[rank] = _door()
                sockets[rank].connect(str(folder / str(rank)))
                sockets[rank].send(bytes([me]))
            for _ in range(me + 1, world):
                one, _address = door.accept()
                sockets[one.recv(1)[0]] = one
    for one in sockets.values():
        one.settimeout(timeout_s)
    dist.barrier()
    if me == 0:
        shutil.rmtree(folder)  # who is connected needs no name any more
    return HostRanks(sockets, timeout_s) if all(near) else None


def _door() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # whole messages, in their order


def joined(wanted: list[Asked]) -> Asked:
    """One after another; where some are bags, rows alone are bags of one."""
    if len(wanted) == 1:
        return wanted[0]
    bags = None
    if any(one.bags is not None for one in wanted):
        bags = torch.cat([torch.ones(len(one), dtype=torch.long) if one.bags is None else one.bags for one in wanted])
    return Asked(torch.cat([one.rows for one in wanted]), bags)


def exchanged(peers: HostRanks, parts: "list[RankTables]", wanted: list[list[Asked]]) -> tuple[Tensor, ...]:
    """Embeddings [L, D], or of bags, of whatever is wanted of each part, for each of what it holds. A collective call, as is its backward.

    Args:
        wanted: of each part, rows of all its tables as if one stood below the other.
    """
    peers.wait()  # all have learnt, or read a checkpoint
    # a tensor that wants a gradient, so that there is a backward; it updates the tables
    found = _Exchange.apply(torch.zeros(0, requires_grad=True), peers, parts, wanted)
    if not torch.is_grad_enabled():
        peers.wait()  # there is no backward, before which nobody changes a table
    return found


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, peers: HostRanks, parts: "list[RankTables]", wanted: list[list[Asked]]) -> tuple[Tensor, ...]:
        ctx.peers, ctx.parts, ctx.wanted = peers, parts, wanted
        return tuple(
            one.find(held.weight, held.mean) for part, several in zip(parts, wanted, strict=True) for held in part.holds for one in several
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        peers, parts, left = ctx.peers, ctx.parts, iter(gradients)
        each = [
            (joined(several), [[next(left) for _ in several] for _ in part.holds]) for part, several in zip(parts, ctx.wanted, strict=True)
        ]
        if peers.here:
            peers.wait()  # a backward after a backward: tables still learn from what is overwritten now
        heard = peers.swap(_leave(peers, parts, each))
        _learn(peers, parts, each, heard)
        peers.arrive()
        return None, None, None, None


def _leave(peers: HostRanks, parts: "list[RankTables]", each: list[tuple[Asked, list[list[Tensor]]]]) -> dict[int, list[int]]:
    """Leave gradients for the ranks that hold the parts; what each must know to take them: where they begin, and how many there are."""
    memory, told = peers.memory[peers.me], dict[int, list[int]]()
    memory.at = 0
    for part, (asked, gradients) in zip(parts, each, strict=True):
        if part.rank != peers.me:
            told.setdefault(part.rank, [memory.at]).extend((len(asked.rows), len(asked.bags_or_none)))
            for numbers in (asked.rows, asked.bags_or_none):
                memory.take(len(numbers), dtype=torch.long).copy_(numbers)
            for held, several in zip(part.holds, gradients, strict=True):
                torch.cat(several, out=memory.take(len(asked), held.width, dtype=torch.float32))
    return {rank: told.get(rank, [0]) for rank in peers.all}


def _learn(peers: HostRanks, parts: "list[RankTables]", each: list[tuple[Asked, list[list[Tensor]]]], heard: dict[int, list[int]]) -> None:
    """Update this rank's tables by what all ranks have asked of them, in the order of the ranks."""
    counts = {rank: iter(numbers) for rank, numbers in heard.items()}
    for rank in peers.sockets:
        peers.memory[rank].at = next(counts[rank])
    for part, own in zip(parts, each, strict=True):
        if part.rank == peers.me:
            taken = [
                own if rank == peers.me else _take(peers.memory[rank], part, next(counts[rank]), next(counts[rank])) for rank in peers.all
            ]
            every = joined([asked for asked, _ in taken])
            for place, held in enumerate(part.holds):
                assert held.kernel is not None
                held.kernel.learn(held.rows, every, torch.cat([one for _, gradients in taken for one in gradients[place]]))


def _take(memory: Memory, part: "RankTables", rows: int, bags: int) -> tuple[Asked, list[list[Tensor]]]:
    asked = Asked(memory.take(rows, dtype=torch.long), memory.take(bags, dtype=torch.long) if bags else None)
    return asked, [[memory.take(len(asked), held.width, dtype=torch.float32)] for held in part.holds]
