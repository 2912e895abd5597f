"""Let torch multiply float32 matrices with oneDNN where MKL, its choice on CPUs, leaves half of the CPU unused.

MKL runs its AVX-512 code on Intel's processors alone; oneDNN, which torch's wheels hold as well, on every one that has AVX-512. Seen in
torch 2.14.1 on an AMD EPYC (Zen 5), one thread: 100 to 110 GFLOP/s of MKL, 200 to 250 of oneDNN. Both sum in float32.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.library import Library

LEAST = 1 << 19  # multiply-adds; for fewer, starting oneDNN takes longer than it saves
_kernels: list[Library] = []  # they stay registered as long as they are referenced


def use_onednn() -> bool:
    """Let every later product of this process use oneDNN; returns whether it does."""
    if not _kernels and _mkl_falls_short():
        register()
    return bool(_kernels)


def register() -> None:
    """Replace torch's own products of dense tensors on a CPU by those below."""
    library = Library("aten", "IMPL")
    library.impl("mm", mm, "CPU", allow_override=True)
    library.impl("addmm", addmm, "CPU", allow_override=True)
    _kernels.append(library)


def _mkl_falls_short() -> bool:
    try:
        maker = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    has = torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has and torch.backends.cpu.get_cpu_capability().startswith("AVX512") and "GenuineIntel" not in maker


def mm(left: Tensor, right: Tensor) -> Tensor:
    """left [M, K] @ right [K, N], as torch.mm."""
    if _suits(left, right):
        return torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return torch.mm(left, right, out=_room(left, right))


def addmm(added: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * added + alpha * left [M, K] @ right [K, N], as torch.addmm."""
    if beta == alpha == 1 and added.shape == right.shape[1:] and added.dtype == torch.float32 and _suits(left, right):
        return torch.ops.mkldnn._linear_pointwise(left, right.t(), added, "none", [], "")
    return torch.addmm(added, left, right, beta=beta, alpha=alpha, out=_room(left, right))


def _suits(left: Tensor, right: Tensor) -> bool:
    fits = left.dim() == right.dim() == 2 and left.shape[1] == right.shape[0] and left.dtype == right.dtype == torch.float32
    return fits and left.shape[0] * left.shape[1] * right.shape[1] >= LEAST


def _room(left: Tensor, right: Tensor) -> Tensor:
    """A tensor for the result of torch's own product, which is still reached when it is given one."""
    return left.new_empty(left.shape[0], right.shape[-1])
