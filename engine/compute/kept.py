"""Computes that a workspace keeps by name, each a file."""

import hashlib
import json
from pathlib import Path

from engine.compute.spec import Compute
from engine.settings import settings
from workers.artifacts import write_json


def list_computes() -> list[Compute]:
    """All that are kept, in the order of their names; files that this version cannot read are left out."""
    found = []
    for path in _folder().glob("*.json"):
        try:
            found.append(Compute.read(path))
        except ValueError:
            continue
    return sorted(found, key=lambda compute: compute.name.casefold())


def get(name: str) -> Compute:
    """The one of a name. LookupError: none is kept under it; says which are."""
    path = _path(name)
    if not path.is_file():
        known = ", ".join(compute.name for compute in list_computes()) or "none yet"
        raise LookupError(f"No compute is kept as {name[:80]!r}; this workspace has: {known}.")
    return Compute.read(path)


def save(compute: Compute) -> None:
    """Keep a compute; one of the same name is replaced. ValueError: it has no name."""
    if not compute.name.strip():
        raise ValueError("The compute has no name; give it one.")
    _folder().mkdir(mode=settings().folder_mode, exist_ok=True)
    write_json(_path(compute.name), json.loads(compute.model_dump_json()))


def delete(name: str) -> None:
    """Remove a compute; nothing where there is none of that name. Runs that were launched with it keep their own copy."""
    _path(name).unlink(missing_ok=True)


def _folder() -> Path:
    return settings().workspace / "computes"


def _path(name: str) -> Path:
    """The file of a compute: its name may be any text."""
    return _folder() / f"{hashlib.sha256(name.strip().encode()).hexdigest()[:24]}.json"
