"""Wait for a lock of the workspace, and leave word of who holds it."""

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from engine.settings import settings


class LockError(OSError):
    """A lock cannot be had; the message says who holds it, or who may not open it, and what to do."""


@contextmanager
def held(name: str, timeout_s: float, what: str) -> Iterator[None]:
    """Hold a lock of the workspace while the block lasts.

    Args:
        name: of its file in the workspace. timeout_s: to wait for it. what: what its holder does, as the beginning of a sentence.

    Raises:
        LockError: another process holds it for longer, or this user may not open it.
    """
    from filelock import FileLock, Timeout

    path = settings().workspace / name
    holder, lock = path.with_name(f"{path.name}.holder"), FileLock(path, timeout=timeout_s, mode=settings().file_mode)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        waited = f", after {timeout_s:.0f} s" if timeout_s else ""
        raise LockError(f"{what} is still being done by {_held_by(holder)}{waited}: end it, or try again.") from None
    except OSError as error:
        raise LockError(
            f"{settings().who} may not write {path} ({error.strerror}): whose workspace it is sets RECBENCH_SHARED_GROUP=true and runs "
            f"`chmod -R u=rwX,g=rwXs,o= {settings().workspace}`; or set RECBENCH_WORKSPACE to a folder of your own."
        ) from error
    try:
        with contextlib.suppress(OSError):
            since = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
            holder.unlink(missing_ok=True)  # of somebody who died, and whose file may not be ours to write
            holder.write_text(f"{settings().who} on {socket.gethostname()}, process {os.getpid()}, since {since}", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _held_by(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")[:300] or "another process"
    except OSError:
        return "another process"
