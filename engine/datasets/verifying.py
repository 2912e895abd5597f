"""Whether the files of a prepared dataset are what was written."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from engine.datasets.read import Dataset, get_dataset
from workers.artifacts import MANIFEST

BLOCKS = ".mds"  # ending of a file of blocks
DRAWN_BYTES = 1_000_000_000  # of files of blocks that are read before a training at most
THREADS = 8  # that read files side by side; hashing leaves Python's lock


def digest(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def digests(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """`digest` of each file, in parallel threads."""
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(digest, paths))


def verify(id: str) -> None:
    """Compare every file with the manifest, in parallel threads.

    Raises:
        ValueError: names the first file that is missing, changed or not of the dataset. LookupError: there is no such dataset.
    """
    dataset = get_dataset(id)
    _verify(dataset, sorted(dataset.manifest["files"]))


def verify_some(id: str, draw: str) -> None:
    """As `verify`, but of blocks read 1 GB at most: other ones for each `draw`, such as the id of a run, so that in time all are read.

    Names and sizes of all files are compared, and the content of all that are no blocks. Damage that this misses is an error where a
    block is read, for each carries a check. Datasets of earlier versions, whose blocks have none, are verified whole.
    """
    dataset = get_dataset(id)
    files = dataset.manifest["files"]
    blocks = [name for name in sorted(files) if name.endswith(BLOCKS)]
    if dataset.manifest.get("checked_blocks"):
        seed = int.from_bytes(hashlib.sha256(draw.encode()).digest()[:8], "big")
        blocks = [blocks[place] for place in np.random.default_rng(seed).permutation(len(blocks))]
        ends = np.cumsum([files[name]["bytes"] for name in blocks])
        blocks = blocks[: max(1, int((ends <= DRAWN_BYTES).sum()))]
    _verify(dataset, sorted([*blocks, *(name for name in files if not name.endswith(BLOCKS))]))


def _verify(dataset: Dataset, read: list[str]) -> None:
    """Compare names and sizes of all files, and the content of those that are to be read."""
    advice = f"dataset {dataset.id} was changed after it was prepared: delete its folder and prepare it again."
    files = dataset.manifest["files"]
    for name, expected in files.items():
        path = dataset.path / name
        if not path.is_file():
            raise ValueError(f"{name} is missing; {advice}")
        if (size := path.stat().st_size) != expected["bytes"]:
            raise ValueError(f"{name} has {size:,} bytes instead of {expected['bytes']:,}; {advice}")
    for path in dataset.path.rglob("*"):
        name = path.relative_to(dataset.path).as_posix()
        if path.is_file() and name not in files and name != MANIFEST:
            raise ValueError(f"{name} is not a file of the manifest; {advice}")
    for name, seen in zip(read, digests(dataset.path / name for name in read), strict=True):
        if seen["sha256"] != files[name]["sha256"]:
            raise ValueError(f"{name} has another SHA-256 than the manifest; {advice}")
