"""What a workspace uses of the disk, by kind."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from engine import runs
from engine.settings import settings


class DiskUse(NamedTuple):
    """The bytes of one kind of files, and the number of them: datasets, runs, files."""

    kind: str
    bytes: int
    number: int


def folder_bytes(path: Path) -> int:
    """Bytes on the disk of a file, or of all files in a folder, so that a sparse file counts as what it takes; 0 where it is gone."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_blocks * 512
        with os.scandir(path) as entries:
            return sum(folder_bytes(Path(entry.path)) for entry in entries)
    except OSError:
        return 0  # removed in the meantime


def disk_use() -> list[DiskUse]:
    """What the workspace holds by kind, and the rest last: datasets, runs, those of them in the trash, artifacts, uploads, caches."""
    where = settings()
    trashed = {run.run_id for run in runs.list_runs(trashed=True)}
    own = [folder for folder in _inside(where.runs) if folder.name not in trashed]
    binned = [folder for folder in _inside(where.runs) if folder.name in trashed]
    kinds = {
        "Datasets": _inside(where.datasets),
        "Runs": own,
        "Runs in the trash": binned,
        "Artifacts of the run store": _inside(where.workspace / "artifacts"),
        "Uploads": _inside(where.uploads),
        "Downloads and caches": [where.workspace / name for name in ("downloads", "cache", ".spark")],
    }
    found = [DiskUse(kind, sum(map(folder_bytes, paths)), sum(path.exists() for path in paths)) for kind, paths in kinds.items()]
    known = {"datasets", "runs", "artifacts", "uploads", "downloads", "cache", ".spark"}
    rest = [path for path in _inside(where.workspace) if path.name not in known]
    return [*found, DiskUse("Run store and other files", sum(map(folder_bytes, rest)), len(rest))]


def dataset_bytes() -> dict[str, int]:
    """What each prepared dataset takes of the disk, in bytes, by its id."""
    return {folder.name: folder_bytes(folder) for folder in _inside(settings().datasets) if folder.is_dir() and folder.name[0] != "."}


def free_bytes() -> int:
    """Bytes that are free on the disk of the workspace."""
    return shutil.disk_usage(settings().workspace).free


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
