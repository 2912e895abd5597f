"""Mean gradients of dense weights over the ranks of a host, through memory that they share.

By gloo's all-reduce those of a DLRM, 2 MB, took 2.9 ms of a step of 39 with both cores at work: they go through the kernel, in pieces,
and for each piece a thread of gloo's must get a core. This is a communication hook, which DDP calls once for each bucket of gradients.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from workers.cpu.exchange import HostRanks, meet
from workers.cpu.memory import LINE


class Gradients:
    """The buckets of a step, until the last one is there and ranks wait for each other once.

    Steps write to two places in turn: a rank that has heard from all others in one step knows that they have read those of the step before.
    """

    def __init__(self, peers: HostRanks) -> None:
        self.peers, self.turn = peers, 0
        self.buckets: list[tuple[Tensor, torch.futures.Future[Tensor]]] = []

    def exchange(self) -> None:
        """Make each bucket its mean over all ranks, summed in the order of the ranks, so that it is the same everywhere."""
        peers, buffers = self.peers, [buffer for buffer, _ in self.buckets]
        numbers, dtype = sum(len(buffer) for buffer in buffers), buffers[0].dtype
        start = self.turn * -(-numbers * dtype.itemsize // LINE) * LINE
        torch.cat(buffers, out=peers.memory[peers.me].take_at(start, numbers, dtype=dtype))
        peers.swap({rank: [0] for rank in peers.sockets})
        shares = [peers.memory[rank].take_at(start, numbers, dtype=dtype) for rank in peers.all]
        mean = torch.add(shares[0], shares[1])
        for share in shares[2:]:
            mean += share
        mean /= len(shares)
        for (buffer, done), own in zip(self.buckets, mean.split([len(buffer) for buffer in buffers]), strict=True):
            done.set_result(buffer.copy_(own))
        self.turn, self.buckets = 1 - self.turn, []


def mean_gradients(gradients: Gradients, bucket: dist.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """DDP's hook: the mean of a bucket over all ranks, as a future that is set when the last bucket of the step has come."""
    promise: torch.futures.Future[Tensor] = torch.futures.Future()
    gradients.buckets.append((bucket.buffer(), promise))
    if bucket.is_last():
        gradients.exchange()
    return promise


def share_gradients(module: torch.nn.Module, timeout_s: float) -> None:
    """Let several ranks that are all on this host average dense gradients so. A collective call."""
    for replica in module.modules():
        if isinstance(replica, DistributedDataParallel) and (peers := meet(timeout_s)):
            replica.register_comm_hook(Gradients(peers), mean_gradients)
