"""Whose a run is: the workspace by an id of its own, the machine by its name and the id of its boot. No clock and no path decides it."""

import os
import socket
import uuid
from pathlib import Path
from typing import NamedTuple

import psutil
from pydantic import ValidationError

from engine.runs.processes import TOKEN
from engine.settings import settings
from workers.artifacts import write_json
from workers.specs import Spec

WORKSPACE_ID = ".workspace-id"
DRIVER = "driver.json"  # in the run folder: where its driver runs
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Machine(NamedTuple):
    """A machine between two restarts."""

    host: str
    boot: str


class Signature(Spec):
    """Where the driver of a run runs. Nothing is ever signalled by this pid: it may be another process's by now."""

    host: str
    boot: str
    pid: int


def workspace_id() -> str:
    """The id of this workspace, made once: it stays when the workspace is moved, and a copy has the same one, with a copy of the store."""
    path = settings().workspace / WORKSPACE_ID
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = path.with_name(f"{WORKSPACE_ID}.{uuid.uuid4().hex}")
        made.write_text(uuid.uuid4().hex)
        try:
            os.link(made, path)  # fails where another process was first
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return path.read_text().strip()


def machine() -> Machine:
    """This machine, since it was started last."""
    try:
        boot = BOOT.read_text().strip()
    except OSError:
        boot = ""
    return Machine(socket.gethostname(), boot)


def user() -> str:
    """Whose name this process gives to the runs that it submits: RECBENCH_USER, else the name of the user of this machine."""
    return settings().who


def sees(machine_: Machine | None, has_folder: bool) -> bool:
    """Whether this process can say if the driver of a run of this workspace lives, by the lock of its folder.

    Containers of one machine share its boot, and see each other's locks in a folder that they share; a copy of a workspace in another
    container has not the folder. Whether another machine holds a lock is not seen on every kind of shared storage.

    Args:
        machine_: where the driver was started; None: unknown, of an earlier version.
        has_folder: whether the run's folder is in this workspace.
    """
    here = machine()
    if machine_ is None or machine_ == here:
        return True
    return has_folder and (machine_.host == here.host or (bool(here.boot) and machine_.boot == here.boot))


def sign(folder: Path) -> None:
    """Write down where this process, the driver of a run, runs."""
    write_json(folder / DRIVER, Signature(**machine()._asdict(), pid=os.getpid()).model_dump())


def driven_on(folder: Path) -> Machine | None:
    """The machine that the driver of a run was started on last; None where none was, or an earlier version did not say."""
    driver = _signature(folder)
    return Machine(driver.host, driver.boot) if driver else None


def restarted(folder: Path) -> bool:
    """Whether the machine of a run's driver was restarted since the driver started; False where that is unknown."""
    driver, here = _signature(folder), machine()
    return driver is not None and driver.host == here.host and bool(driver.boot) and driver.boot != here.boot


def stopped(folder: Path) -> int | None:
    """The pid of a run's driver where a signal or a debugger has stopped it; None where it works, or is on another machine."""
    driver, here = _signature(folder), machine()
    if driver is None or (driver.host, driver.boot) != here:
        return None
    try:
        process = psutil.Process(driver.pid)
        own = process.environ().get(TOKEN) == folder.name
        return driver.pid if own and process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP) else None
    except psutil.Error:
        return None


def _signature(folder: Path) -> Signature | None:
    try:
        return Signature.model_validate_json((folder / DRIVER).read_text())
    except (OSError, ValidationError):
        return None
