"""Memory that ranks of a host share: it has no name by which anybody else could open it, and it is freed with the last of them."""

import mmap
import os
import shutil
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
LINE = 64  # bytes of a cache line, where tensors begin
SPARE = 1.25  # room beyond what is needed, so that bags whose sizes differ from step to step do not make it grow each time
SHARED = Path("/dev/shm")  # where torch moves tensors that are shared


class Memory:
    """Tensors one after another that one rank writes and others read: all of them know the shapes and take them in the same order."""

    def __init__(self, handle: int) -> None:
        self.handle, self.mapped, self.at = handle, mmap.mmap(-1, 1), 0

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """The next tensor, with the values last written to it.

        Raises:
            OSError: there is no memory for it.
        """
        start, numbers = self.at, prod(shape)
        self.at += -(-numbers * dtype.itemsize // LINE) * LINE
        if not numbers:
            return torch.empty(shape, dtype=dtype)
        if len(self.mapped) < self.at:  # tensors that were taken before keep the same memory
            if os.fstat(self.handle).st_size < self.at:
                os.posix_fallocate(self.handle, 0, int(SPARE * self.at))
            self.mapped = mmap.mmap(self.handle, os.fstat(self.handle).st_size)
        return torch.frombuffer(self.mapped, dtype=dtype, count=numbers, offset=start).view(shape)

    def take_at(self, start: int, *shape: int, dtype: torch.dtype) -> Tensor:
        """As `take`, from that byte on."""
        self.at = start
        return self.take(*shape, dtype=dtype)


def free_bytes() -> int:
    """Bytes that are left for tensors to share."""
    return shutil.disk_usage(SHARED).free if SHARED.is_dir() else 0


def share(tensor: Tensor) -> int:
    """Move a tensor, and all that are views of it, to memory that can be shared, without its values; returns the handle to open it by."""
    storage, size = tensor.untyped_storage(), tensor.untyped_storage().nbytes()
    storage.resize_(0)
    storage.resize_(size)  # as the kernel gives it, so that what torch copies takes no memory beside the copy
    handle: int = storage._share_fd_cpu_()[0]
    return handle


def open_shared(handle: int) -> Tensor:
    """The float32 tensor that another rank shares, flat; closes the handle."""
    mapped = mmap.mmap(handle, os.fstat(handle).st_size)
    os.close(handle)
    return torch.frombuffer(mapped, dtype=torch.float32)


def all_ranks(own: T) -> list[T]:
    """The values of all ranks, in the order of the ranks. A collective call."""
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, own)
    return values
