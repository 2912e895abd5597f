"""From its first moment, a run has a folder whose lock is held: the store gives it its id later, and the folder is renamed then.

So a run with a live status and a free lock has died, whatever the clock says.
"""

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.runs import identity, owners, store
from engine.runs.processes import LOCK, is_locked
from engine.settings import settings

CLAIM = "claim"  # the tag that names the folder of a run before it had its id


class Claim:
    """The folder of a run that has no id yet, and its held lock."""

    def __init__(self) -> None:
        self.name = f".new-{uuid.uuid4().hex}"
        self.folder = settings().runs / self.name
        self.folder.mkdir(parents=True)
        self.lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, settings().file_mode)
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def become(self, run_id: str) -> Path:
        """Give the folder the run's id; the lock stays held."""
        folder = settings().runs / run_id
        self.folder.rename(folder)
        return folder


@contextmanager
def claimed() -> Iterator[Claim]:
    """A claim; its folder is removed where the run did not come about. Its lock is given up at the end, or goes on in a driver."""
    claim = Claim()
    try:
        yield claim
    finally:
        shutil.rmtree(claim.folder, ignore_errors=True)  # nothing, once it has the run's id
        os.close(claim.lock)


def is_ours(run_id: str, tags: dict[str, str]) -> bool:
    """Whether a run belongs to this workspace, wherever that lies now. A run of an earlier version does where its folder is here."""
    whose = tags.get(f"{store.TAG}workspace_id")
    return (settings().runs / run_id).is_dir() if whose is None else whose == identity.workspace_id()


def is_judged_here(run_id: str, tags: dict[str, str]) -> bool:
    """Whether a free lock means here that the driver of a run has ended: it is of this workspace, and its locks are seen here."""
    folder = _folder(tags)
    has_folder = (settings().runs / run_id).is_dir() or (folder is not None and folder.is_dir())
    return is_ours(run_id, tags) and identity.sees(owners.owner_of(tags).machine, has_folder)


def is_held(run_id: str, tags: dict[str, str]) -> bool:
    """Whether somebody holds the lock of a run's folder: its submitter, or its driver."""
    claim = _folder(tags)  # asked first: a folder is renamed from this name to the other
    return (claim is not None and is_locked(claim)) or is_locked(settings().runs / run_id)


def forget(tags: dict[str, str]) -> None:
    """Remove the folder of a run whose submitter died before the run had its id."""
    if (folder := _folder(tags)) is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(tags: dict[str, str]) -> Path | None:
    """The folder that a run had before it had its id."""
    name = tags.get(f"{store.TAG}{CLAIM}", "")
    return settings().runs / name if re.fullmatch(r"\.new-[0-9a-f]{32}", name) else None
