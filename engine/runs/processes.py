"""The processes of a run: find them, see whether the driver is alive, end them."""

import fcntl
import os
import shutil
import time
from pathlib import Path

import psutil

from engine.settings import settings
from workers.run import TOKEN, segments

LOCK, TEMPORARY = "lock", "tmp"  # in the run folder
GRACE_S = 3.0
SWEEP_S = 12.0  # in which all processes of a run must have ended


def is_alive(run_id: str) -> bool:
    """Whether the run's driver is alive: it holds the lock of the run folder."""
    return is_locked(settings().runs / run_id)


def is_locked(folder: Path) -> bool:
    """Whether somebody holds the lock of a run folder."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # of another user, who has not opened it to us: not ours to judge
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def processes(run_id: str) -> list[psutil.Process]:
    """Every process that carries the run's token, except this one."""
    own = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(TOKEN) == run_id and process.status() != psutil.STATUS_ZOMBIE:
                own.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return own


def sweep(run_id: str, spared: int | None = None) -> list[int]:
    """End every process of a run but the spared pid: SIGTERM, then SIGKILL. psutil checks creation times too, so no other process is hit.

    Once none is left, the run's temporary files and its shared memory are removed.

    Returns:
        The pids of processes that did not end.
    """
    finish, deadline = psutil.Process.terminate, time.monotonic() + SWEEP_S
    while (alive := [process for process in processes(run_id) if process.pid != spared]) and time.monotonic() < deadline:
        for process in alive:
            try:
                finish(process)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(alive, timeout=GRACE_S)
        finish = psutil.Process.kill  # as often as others follow: starting Spark takes several processes, one after the other
    left = [process.pid for process in alive]
    if not left:
        shutil.rmtree(settings().runs / run_id / TEMPORARY, ignore_errors=True)
        segments.remove(settings().runs / run_id)
    return left
