"""The workbench's own code as an archive, so that executors need no copy of it installed."""

import hashlib
import os
import zipfile
from pathlib import Path

from engine.settings import settings

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("engine", "workers")  # what tasks import; pages run beside the driver alone
SUFFIXES = (".py", ".pyi", ".json", ".txt")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same code makes the same archive


def code_archive() -> Path:
    """A zip of the packages that executors import, in the workspace, named by its content; written once for each version of the code."""
    files = sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*") if path.suffix in SUFFIXES and path.is_file())
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes())
    target = settings().workspace / ".spark" / f"code-{digest.hexdigest()[:16]}.zip"
    if target.is_file():
        return target
    target.parent.mkdir(exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.writestr(zipfile.ZipInfo(path.relative_to(PROJECT).as_posix(), EPOCH), path.read_bytes())
    os.replace(partial, target)
    return target
