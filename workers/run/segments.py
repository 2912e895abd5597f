"""Which names in /dev/shm belong to a run: StreamingDataset begins them with a number, which the run records in its folder.

A process that is killed cannot remove its segments, and names alone do not say whose they are.
"""

import json
from pathlib import Path

from workers.artifacts import write_json

SEGMENTS = "shm.json"  # in the run folder
SHARED = Path("/dev/shm")
BOOT = Path("/proc/sys/kernel/random/boot_id")


def record(run: Path, number: int) -> None:
    """Add the number that names begin with, of an attempt of a run, before that the numbers of earlier attempts."""
    boot = _boot()
    write_json(run / SEGMENTS, {"boot": boot, "folder": str(run.resolve()), "numbers": sorted({*_numbers(run, boot), number})})


def of_run(run: Path) -> list[Path]:
    """The segments of a run that are on this machine; none where it was started since, which emptied /dev/shm."""
    found = (path for number in _numbers(run, _boot()) for path in SHARED.glob(f"{number:06}_*"))
    return sorted(path for path in found if path.stat().st_uid == run.stat().st_uid)


def _numbers(run: Path, boot: str) -> list[int]:
    try:
        recorded = json.loads((run / SEGMENTS).read_text())
        own = recorded["boot"] == boot and recorded["folder"] == str(run.resolve())  # a copy of a workspace has no segments
        return [int(number) for number in recorded["numbers"]] if own else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def remove(run: Path) -> None:
    """Remove the segments of a run; call it only once none of its processes is alive."""
    for path in of_run(run):
        path.unlink(missing_ok=True)
    (run / SEGMENTS).unlink(missing_ok=True)


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
