"""The function that TorchDistributor pickles by name. Free of torch, so that the driver need not import it."""

import gc
import os
import sys


def train_rank(run_dir: str, dataset_dir: str, attempt: int) -> None:
    """One rank of a training run; see `workers.train.train_rank`."""
    for stream in (sys.stdout, sys.stderr):
        # TorchDistributor dies of one byte that is not UTF-8
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    os.environ.setdefault("FBGEMM_TBE_BOUNDS_CHECK_MODE", "0")  # fatal: fbgemm's default trains on row 0 for a bad id
    gc.disable()  # a sixth of the import would go into looking for garbage among modules that stay
    from workers.train import train_rank as work

    gc.freeze()
    gc.enable()
    work(run_dir, dataset_dir, attempt)
