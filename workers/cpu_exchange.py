"""What a step sends between ranks of one host that hold whole tables on its CPUs.

Embeddings arrive as the model wants them and gradients leave as it made them, neither sorted nor copied on the way. Ranks read and write
sockets themselves: two that exchanged 64 bytes or 1 MB by gloo's all-to-all took 150 or 1,200 µs, and so 16 or 300, because what gloo
sends waits for a thread of its own to get a core, and all cores are at work. Letters: L rows, D width.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from workers.cpu_tables import Asked

if TYPE_CHECKING:
    from workers.cpu_collections import Part

LONGEST = 90  # bytes of a folder whose sockets have names that every system allows


class Peers:
    """The other ranks of this host, through Unix sockets that nobody else can reach."""

    def __init__(self, sockets: dict[int, socket.socket], timeout_s: float) -> None:
        self.me, self.timeout_s = dist.get_rank(), timeout_s
        # pairs of ranks talk in one order everywhere, so that no two wait for each other in a ring
        self.sockets = dict(sorted(sockets.items(), key=lambda of: (min(of[0], self.me), max(of[0], self.me))))

    @property
    def all(self) -> range:
        return range(len(self.sockets) + 1)

    def swap(
        self, sent: dict[int, list[Tensor]], expected: Mapping[int, list[Tensor] | int], dtype: torch.dtype
    ) -> dict[int, list[Tensor]]:
        """Send contiguous tensors to each rank, and receive what each sends into tensors of its size, or into as many fresh flat ones.

        Raises:
            TimeoutError: a rank said nothing for too long. ConnectionError: a rank is gone.
        """
        found = {}
        for rank, one in self.sockets.items():
            try:
                if self.me < rank:
                    _send(one, sent[rank])
                found[rank] = _receive(one, expected[rank], dtype)
                if self.me > rank:
                    _send(one, sent[rank])
            except TimeoutError:
                raise TimeoutError(f"Rank {rank} has said nothing for {self.timeout_s:.0f} s; its log says why.") from None
            except (ConnectionError, EOFError):
                raise ConnectionError(f"Rank {rank} is gone; its log says why.") from None
        return found


def _send(to: socket.socket, tensors: list[Tensor]) -> None:
    if tensors:
        to.sendall(np.array([tensor.numel() for tensor in tensors]).data)
    for tensor in tensors:
        to.sendall(tensor.numpy().data)


def _receive(one: socket.socket, expected: list[Tensor] | int, dtype: torch.dtype) -> list[Tensor]:
    sizes = torch.empty(expected if isinstance(expected, int) else len(expected), dtype=torch.long)
    _fill(one, sizes)
    into = [torch.empty(size, dtype=dtype) for size in sizes.tolist()] if isinstance(expected, int) else expected
    for tensor in into:
        _fill(one, tensor)
    return into


def _fill(one: socket.socket, tensor: Tensor) -> None:
    left = memoryview(tensor.numpy()).cast("B") if tensor.numel() else memoryview(b"")
    while left:
        count = one.recv_into(left)
        if not count:
            raise EOFError
        left = left[count:]


def meet(timeout_s: float) -> Peers | None:
    """Connect this rank with all others; None where they are not all on one host. A collective call."""
    me, world = dist.get_rank(), dist.get_world_size()
    told = [tempfile.mkdtemp(prefix="ranks-") if me == 0 else "", socket.gethostname()]
    dist.broadcast_object_list(told, 0)
    folder, near = Path(told[0]), [False] * world
    here = socket.gethostname() == told[1] and folder.is_dir()
    dist.all_gather_object(near, here and hasattr(socket, "AF_UNIX") and len(os.fsencode(folder)) < LONGEST)
    sockets: dict[int, socket.socket] = {}
    if all(near):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(timeout_s)
            door.bind(str(folder / str(me)))
            door.listen(world)
            dist.barrier()
            for rank in range(me):
                sockets[rank] = socket.socket(socket.AF_UNIX)
                sockets[rank].connect(str(folder / str(rank)))
                _send(sockets[rank], [torch.tensor([me])])
            for _ in range(me + 1, world):
                one, _address = door.accept()
                sockets[int(_receive(one, 1, torch.long)[0])] = one
    for one in sockets.values():
        one.settimeout(timeout_s)
    dist.barrier()
    if me == 0:
        shutil.rmtree(folder)  # who is connected needs no name any more
    return Peers(sockets, timeout_s) if all(near) else None


def joined(wanted: list[Asked]) -> Asked:
    """One after another; where some are bags, rows alone are bags of one."""
    if len(wanted) == 1:
        return wanted[0]
    bags = None
    if any(one.bags is not None for one in wanted):
        bags = torch.cat([torch.ones(len(one), dtype=torch.long) if one.bags is None else one.bags for one in wanted])
    return Asked(torch.cat([one.rows for one in wanted]), bags)


def exchanged(peers: Peers, parts: "list[Part]", wanted: list[list[Asked]]) -> tuple[Tensor, ...]:
    """Embeddings [L, D], or of bags, of whatever is wanted of each part, for each of what it holds. A collective call, as is its backward.

    Args:
        wanted: of each part, rows of all its tables as if one stood below the other.
    """
    # a tensor that wants a gradient, so that there is a backward; it updates the tables
    return _Exchange.apply(torch.zeros(0, requires_grad=True), peers, parts, wanted)


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, peers: Peers, parts: "list[Part]", wanted: list[list[Asked]]) -> tuple[Tensor, ...]:
        pairs = list(zip(parts, wanted, strict=True))
        asked = {rank: [joined(several) for part, several in pairs if part.rank == rank] for rank in peers.all}
        mine = [part for part in parts if part.rank == peers.me]
        asking = {rank: [each for one in asked[rank] for each in (one.rows, one.bags_or_none)] for rank in asked}
        heard = peers.swap(asking, dict.fromkeys(peers.all, 2 * len(mine)), torch.long) | {peers.me: asking[peers.me]}
        answers: dict[int, list[Tensor]] = {rank: [] for rank in peers.all}
        ctx.served = []
        for place, part in enumerate(mine):
            each = [
                Asked(rows, bags if len(bags) else None) for rows, bags in (heard[rank][2 * place : 2 * place + 2] for rank in peers.all)
            ]
            every = joined(each)
            for held in part.holds:
                for rank, found in enumerate(every.find(held.rows, held.mean).split([len(one) for one in each])):
                    answers[rank].append(found)
                ctx.served.append((held, every, [len(one) for one in each]))
        holds = {rank: sum(len(part.holds) for part in parts if part.rank == rank) for rank in peers.all}
        given = peers.swap(answers, holds, torch.float32) | {peers.me: answers[peers.me]}
        ctx.peers, ctx.holds = peers, [(part.rank, held.width, len(several)) for part, several in pairs for held in part.holds]
        left = {rank: iter(found) for rank, found in given.items()}
        return tuple(
            found
            for part, several in pairs
            for held in part.holds
            for found in next(left[part.rank]).view(-1, held.width).split([len(one) for one in several])
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        peers, left = ctx.peers, iter(gradients)
        own: dict[int, list[Tensor]] = {rank: [] for rank in peers.all}
        for rank, width, count in ctx.holds:
            own[rank].append(_stacked([next(left).view(-1, width) for _ in range(count)]))
        gathered = [torch.empty(len(every), held.width) for held, every, _ in ctx.served]
        slots = [whole.split(counts) for whole, (_, _, counts) in zip(gathered, ctx.served, strict=True)]
        for slot, ours in zip(slots, own[peers.me], strict=True):
            slot[peers.me].copy_(ours)
        peers.swap(own, {rank: [slot[rank] for slot in slots] for rank in peers.all}, torch.float32)
        for (held, every, _), gradient in zip(ctx.served, gathered, strict=True):
            held.kernel.learn(held.rows, every, gradient)
        return None, None, None, None


def _stacked(parts: list[Tensor]) -> Tensor:
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts)
