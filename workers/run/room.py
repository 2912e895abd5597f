"""A little room on the disk that a run keeps, so that a run on a full disk can still say so.

Where a file cannot be written for lack of space, the reserve is given up and the file is written again.
"""

import errno
from collections.abc import Callable
from pathlib import Path

RESERVE = ".reserve"
BYTES = 1 << 20
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def reserve(folder: Path) -> None:
    """Take the room; without effect where even that is not there."""
    try:
        (folder / RESERVE).write_bytes(b"\1" * BYTES)  # not zeros: some file systems store none
    except OSError:
        (folder / RESERVE).unlink(missing_ok=True)


def release(folder: Path) -> bool:
    """Give the room back; returns whether there was any."""
    try:
        (folder / RESERVE).unlink()
    except OSError:
        return False
    return True


def is_full(error: OSError) -> bool:
    """Whether a disk, or somebody's share of it, is full."""
    return error.errno in DISK_FULL


def with_reserve(folder: Path, write: Callable[[], None]) -> None:
    """Write a file that must not be missing: what says how a run ended, or why. Gives the reserve up where the disk is full.

    Raises:
        OSError: the disk is full all the same, or the file cannot be written for another reason.
    """
    try:
        write()
    except OSError as error:
        if not is_full(error) or not release(folder):
            raise
        write()
