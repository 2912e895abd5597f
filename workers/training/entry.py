"""The function that TorchDistributor pickles by name. Free of torch, so that the driver need not import it."""

import gc
import os
import sys
from pathlib import Path

from workers.artifacts import OUTPUT
from workers.run import Journal, end_with_launcher

# Every step allocates its tensors again. By default glibc returns large blocks to the kernel at once, which then clears them page by page:
# so blocks of up to 256 MiB are kept, which a rank can afford, and pages are large where the kernel has large ones.
MALLOC = "glibc.malloc.mmap_threshold=0x10000000:glibc.malloc.trim_threshold=0x100000000:glibc.malloc.hugetlb=1"

# Nothing listens beyond this host, and nobody else can write what torchrun's agent unpickles: it meets in a file, and so do the ranks.
ON_ONE_HOST = {
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
    "PET_RDZV_CONF": "store_type=file",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
}


def environment(threads: int, one_host: bool) -> dict[str, str]:
    """The environment variables of ranks.

    Args:
        threads: of each rank. one_host: whether all ranks are on this host.
    """
    return {
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "FBGEMM_TBE_BOUNDS_CHECK_MODE": "0",  # as in `train_rank`
        "OMP_NUM_THREADS": str(threads),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", MALLOC),
        **(ON_ONE_HOST if one_host else {}),
    }


def _print_to(path: Path) -> None:
    """Append what this process prints to a file: TorchDistributor, which would read it, fails on a byte that is not UTF-8.

    Also what libraries print in C, past sys.stdout.
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
        os.dup2(file, number)
    os.close(file)


def train_rank(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """One rank of a training run; see `workers.training.train.train_rank`."""
    _print_to(Path(run_dir) / OUTPUT)
    end_with_launcher()
    os.environ.setdefault("FBGEMM_TBE_BOUNDS_CHECK_MODE", "0")  # fatal: fbgemm's default trains on row 0 for a bad id
    if os.environ.get("RANK") == "0":
        Journal(Path(run_dir), attempt).progress("loading libraries", 0, 1, force=True)
    gc.disable()  # a sixth of the import would be spent on looking for garbage among modules that stay
    from workers.training.train import train_rank as work

    gc.freeze()
    gc.enable()
    work(run_dir, dataset_dir, attempt)
