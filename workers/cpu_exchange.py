"""What a step sends between ranks of one host that hold whole tables on its CPUs.

Embeddings arrive as the model wants them and gradients leave as it made them, neither sorted nor copied on the way. ZeroMQ carries them:
gloo takes some times as long to wake up the other side and to copy. Letters: L rows, N answers, D width.
"""

import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import zmq
from torch import Tensor
from torch.autograd.function import once_differentiable

from workers.cpu_tables import Asked

if TYPE_CHECKING:
    from workers.cpu_collections import Part


class Peers:
    """The other ranks of this host, through Unix sockets that nobody else can reach."""

    def __init__(self, sockets: dict[int, zmq.Socket], timeout_s: float) -> None:
        self.me, self.world = dist.get_rank(), dist.get_world_size()
        self.sockets, self.timeout_s = sockets, timeout_s

    def send(self, rank: int, tensors: Sequence[Tensor]) -> None:
        """Contiguous tensors, if any, which must not change any more; returns before they are there."""
        if tensors:
            self.sockets[rank].send_multipart([tensor.numpy() for tensor in tensors], copy=False)

    def receive(self, rank: int, dtype: torch.dtype) -> list[Tensor]:
        """What that rank sent next: flat tensors.

        Raises:
            TimeoutError: nothing came in time.
        """
        try:
            frames = self.sockets[rank].recv_multipart(copy=False)
        except zmq.Again:
            raise TimeoutError(f"Rank {rank} has sent nothing for {self.timeout_s:.0f} s; its log says why.") from None
        return [torch.frombuffer(frame.buffer, dtype=dtype) if len(frame.buffer) else torch.empty(0, dtype=dtype) for frame in frames]

    @property
    def others(self) -> list[int]:
        return list(self.sockets)

    @property
    def all(self) -> range:
        return range(self.world)


def meet(timeout_s: float) -> Peers | None:
    """Connect this rank with all others; None where they are not all on one host. A collective call."""
    me, world = dist.get_rank(), dist.get_world_size()
    told = [tempfile.mkdtemp(prefix="ranks-") if me == 0 else None, socket.gethostname()]
    dist.broadcast_object_list(told, 0)
    folder, host = told
    near: list[bool] = [False] * world
    dist.all_gather_object(near, socket.gethostname() == host and Path(str(folder)).is_dir() and zmq.has("ipc"))
    sockets: dict[int, zmq.Socket] = {}
    if all(near):
        for rank in range(world):
            if rank != me:
                one: zmq.Socket = zmq.Context.instance().socket(zmq.PAIR)
                sockets[rank] = one
                one.setsockopt(zmq.RCVTIMEO, int(timeout_s * 1000))
                one.setsockopt(zmq.LINGER, 0)
                address = f"ipc://{folder}/{min(me, rank)}-{max(me, rank)}"
                (one.bind if me < rank else one.connect)(address)
                one.send(b"")
        for one in sockets.values():
            one.recv()
    dist.barrier()
    if me == 0:
        shutil.rmtree(str(folder))  # who is connected needs no name any more
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
    """Embeddings [N, D] of whatever is wanted of each part, for each of what it holds. A collective call, as is its backward.

    Args:
        wanted: of each part, rows of all its tables as if one stood below the other.
    """
    # a tensor that wants a gradient, so that there is a backward; it updates the tables
    return _Exchange.apply(torch.zeros(0, requires_grad=True), peers, parts, wanted)


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, peers: Peers, parts: "list[Part]", wanted: list[list[Asked]]) -> tuple[Tensor, ...]:
        of = {rank: [(part, one) for part, one in zip(parts, wanted, strict=True) if part.rank == rank] for rank in peers.all}
        asked = {rank: [joined(several) for _, several in of[rank]] for rank in of}
        for rank in peers.others:
            peers.send(rank, [each for one in asked[rank] for each in (one.rows, one.rows[:0] if one.bags is None else one.bags)])
        answers: dict[int, list[Tensor]] = {rank: [] for rank in of}
        ctx.served = []
        heard = {rank: iter(peers.receive(rank, torch.long)) if of[peers.me] else iter(()) for rank in peers.others}
        for (part, _), own in zip(of[peers.me], asked[peers.me], strict=True):
            each = [own if rank == peers.me else _asked(next(heard[rank]), next(heard[rank])) for rank in of]
            every = joined(each)
            for held in part.holds:
                for rank, found in enumerate(every.find(held.rows, held.mean).split([len(one) for one in each])):
                    answers[rank].append(found)
            ctx.served += [(held, every) for held in part.holds]
        for rank in peers.others:
            peers.send(rank, answers[rank])
        if ctx.needs_input_grad[0]:
            for _, every in ctx.served:
                every.keys  # noqa: B018 - the backward wants them sorted, and here there is a moment
        given = {rank: iter(answers[rank] if rank == peers.me else peers.receive(rank, torch.float32) if of[rank] else ()) for rank in of}
        ctx.peers, ctx.holds = (
            peers,
            [(part.rank, held.width, len(several)) for part, several in zip(parts, wanted, strict=True) for held in part.holds],
        )
        return tuple(
            found
            for part, several in zip(parts, wanted, strict=True)
            for held in part.holds
            for found in next(given[part.rank]).view(-1, held.width).split([len(one) for one in several])
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        peers, left = ctx.peers, iter(gradients)
        own: dict[int, list[Tensor]] = {rank: [] for rank in peers.all}
        for rank, width, count in ctx.holds:
            own[rank].append(_stacked([next(left).view(-1, width) for _ in range(count)]))
        for rank in peers.others:
            peers.send(rank, own[rank])
        heard = {rank: iter(peers.receive(rank, torch.float32) if ctx.served else ()) for rank in peers.others}
        for (held, every), ours in zip(ctx.served, own[peers.me], strict=True):
            gradient = [ours if rank == peers.me else next(heard[rank]).view(-1, held.width) for rank in peers.all]
            held.kernel.learn(held.rows, every, torch.cat(gradient))
        return None, None, None, None


def _stacked(parts: list[Tensor]) -> Tensor:
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts)


def _asked(rows: Tensor, bags: Tensor) -> Asked:
    return Asked(rows, bags if len(bags) else None)
