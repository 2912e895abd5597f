"""Uploads: small files sent through the browser, stored in the workspace under a safe name."""

import contextlib
import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import IO

from engine.settings import settings
from engine.tables.objects import ListedFile
from engine.tables.paths import TABLES, identify, refuse_name

MAX_UPLOAD = 200 << 20
BLOCK = 1 << 20


def keep_upload(name: str, data: "bytes | bytearray | memoryview | IO[bytes]") -> Path:
    """Write an upload to the workspace; returns its path. The given name is a label only: the file is named by its content.

    Raises:
        ValueError: more than 200 MB, empty, or of a kind that is never opened.
    """
    label = PurePosixPath(name.replace("\\", "/").replace("\0", "")).name or "upload"
    refuse_name(label)
    folder = settings().uploads
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{os.getpid()}-{os.urandom(6).hex()}"
    try:
        digest = _write(label, data, partial)
        stem = re.sub(r"[^a-z0-9]+", "-", label.split(".")[0].lower()).strip("-")[:40] or "table"
        target = folder / f"{stem}-{digest[:12]}{_ending(label)}"
        identify(ListedFile(str(partial), partial.stat().st_size, ""))
        os.replace(partial, target)
    except ValueError as error:
        raise ValueError(str(error).replace(partial.name, label)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
    return target


def _ending(label: str) -> str:
    endings = [suffix.lower() for suffix in PurePosixPath(label).suffixes if suffix.lower() in TABLES]
    return "".join(endings[-2:])


def _write(label: str, data: "bytes | bytearray | memoryview | IO[bytes]", target: Path) -> str:
    digest, size = hashlib.sha256(), 0
    with target.open("xb") as file:
        for block in _blocks(data):
            size += len(block)
            if size > MAX_UPLOAD:
                raise ValueError(
                    f"{label} is larger than {MAX_UPLOAD >> 20} MB, too much for an upload; "
                    "put it on the machine of the workbench and give its path instead."
                )
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _blocks(data: "bytes | bytearray | memoryview | IO[bytes]"):  # type: ignore[no-untyped-def]
    if isinstance(data, bytes | bytearray | memoryview):
        view = memoryview(data)
        yield from (view[at : at + BLOCK] for at in range(0, len(view), BLOCK))
        return
    if hasattr(data, "seek"):
        data.seek(0)
    while block := data.read(BLOCK):
        yield block
