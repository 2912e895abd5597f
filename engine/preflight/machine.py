"""What this machine has: memory within the limit of its cgroup, free disk, processors."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from engine.settings import settings

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # cgroup 2, then 1


class Machine(NamedTuple):
    """The machine that runs are started on."""

    memory_bytes: int  # of the machine, or the limit of the cgroup where that is lower
    available_bytes: int  # that other programs leave
    free_disk_bytes: int  # of the workspace's disk
    cores: int


def machine() -> Machine:
    """This machine, now."""
    import psutil

    memory = psutil.virtual_memory()
    most = min([memory.total, *filter(None, map(_limit, LIMITS))])
    cores = len(os.sched_getaffinity(0))
    return Machine(most, min(most, memory.available), shutil.disk_usage(settings().workspace).free, cores)


def _limit(path: Path) -> int | None:
    """The limit in a file of a cgroup; None where there is no file or no limit."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
