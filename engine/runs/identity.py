"""Whose a run is: the workspace by an id of its own, the machine by its name and the id of its boot. No clock and no path decides it."""

import os
import socket
import uuid
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

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


def sign(folder: Path) -> None:
    """Write down where this process, the driver of a run, runs."""
    write_json(folder / DRIVER, Signature(**machine()._asdict(), pid=os.getpid()).model_dump())


def restarted(folder: Path) -> bool:
    """Whether the machine of a run's driver was restarted since the driver started; False where that is unknown."""
    try:
        driver = Signature.model_validate_json((folder / DRIVER).read_text())
    except (OSError, ValidationError):
        return False
    here = machine()
    return driver.host == here.host and bool(driver.boot) and driver.boot != here.boot
