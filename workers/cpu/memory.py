"""Memory that ranks of a host share: none of it has a name that anybody else could open, and it goes when the last of them does."""

import mmap
import os
import shutil
from math import prod
from pathlib import Path

import torch
from torch import Tensor

LINE = 64  # bytes of a cache line, where tensors begin
SPARE = 1.25  # of what was asked for, so that bags that differ from step to step do not make it grow each time
SHARED = Path("/dev/shm")  # where torch shares what is there already


class Memory:
    """Tensors behind each other that one rank writes and others read, who know what stands in it and take it in the same order."""

    def __init__(self, handle: int) -> None:
        self.handle, self.mapped, self.at = handle, mmap.mmap(-1, 1), 0

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """The next tensor; it is whatever was written to it.

        Raises:
            OSError: there is no memory for it.
        """
        start, numbers = self.at, prod(shape)
        self.at += -(-numbers * dtype.itemsize // LINE) * LINE
        if not numbers:
            return torch.empty(shape, dtype=dtype)
        if len(self.mapped) < self.at:  # tensors that were taken before see the same memory as before
            if os.fstat(self.handle).st_size < self.at:
                os.posix_fallocate(self.handle, 0, int(SPARE * self.at))
            self.mapped = mmap.mmap(self.handle, os.fstat(self.handle).st_size)
        return torch.frombuffer(self.mapped, dtype=dtype, count=numbers, offset=start).view(shape)

    def take_at(self, start: int, *shape: int, dtype: torch.dtype) -> Tensor:
        """As `take`, from that byte on."""
        self.at = start
        return self.take(*shape, dtype=dtype)


def room() -> int:
    """Bytes of tensors that can be shared."""
    return shutil.disk_usage(SHARED).free if SHARED.is_dir() else 0


def shared(tensor: Tensor) -> int:
    """Move a tensor, and all that are views of it, to memory that can be shared; what to open it by."""
    handle: int = tensor.share_memory_().untyped_storage()._share_fd_cpu_()[0]
    return handle


def opened(handle: int) -> Tensor:
    """The float32 that another rank has shared."""
    mapped = mmap.mmap(handle, os.fstat(handle).st_size)
    os.close(handle)
    return torch.frombuffer(mapped, dtype=torch.float32)
