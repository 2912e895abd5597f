"""Untrusted zip files: checked before anything is extracted; only the members that are needed are extracted."""

import hashlib
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from engine.settings import settings

MAX_MEMBERS, MAX_RATIO, MAX_BYTES = 1000, 100, 20 << 30  # text of ratings compresses 4 to 10 times


def extracted(archive: Path, wanted: Iterable[str]) -> Path:
    """A folder in the workspace with those members of a zip file whose base name is wanted; extracted once per file content.

    Raises:
        ValueError: not a zip file, damaged, encrypted, or harmful (paths that lead outside, links, extreme compression ratios).
    """
    facts, wanted = archive.stat(), set(wanted)
    key = hashlib.sha256(f"{archive.resolve()} {facts.st_size} {facts.st_mtime_ns} {sorted(wanted)}".encode()).hexdigest()[:16]
    folder = settings().workspace / "cache" / f"zip-{key}"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in _chosen(archive, opened.infolist(), wanted):
                with opened.open(member) as source, (partial / PurePosixPath(member.filename).name).open("xb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
        if not folder.exists():
            partial.rename(folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{archive.name} is not a zip file that can be read ({error}); download it again.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def names_in(archive: Path) -> set[str]:
    """The base names of a zip file's members; ValueError when it cannot be read. Extracts nothing."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return {PurePosixPath(member.filename).name for member in opened.infolist()[: MAX_MEMBERS + 1]}
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive.name} is not a zip file that can be read ({error}); download it again.") from error


def _chosen(archive: Path, members: list[zipfile.ZipInfo], wanted: set[str]) -> list[zipfile.ZipInfo]:
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{archive.name} holds {len(members):,} files; a release of ratings has a dozen. Nothing was extracted.")
    for member in members:
        if ".." in re.split(r"[/\\]", member.filename) or member.filename.startswith(("/", "\\")) or ":" in member.filename:
            raise ValueError(f"{archive.name} holds the path {member.filename[:80]!r}, which leads outside. Nothing was extracted.")
    chosen = [m for m in members if not m.is_dir() and PurePosixPath(m.filename).name in wanted and "__MACOSX" not in m.filename]
    for member in chosen:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{member.filename} in {archive.name} is a link, not a file. Nothing was extracted.")
        if member.file_size > MAX_RATIO * max(member.compress_size, 1024):
            raise ValueError(
                f"{member.filename} in {archive.name} would grow {member.file_size // max(member.compress_size, 1):,} times, "
                "which no table of ratings does. Nothing was extracted."
            )
    if len({PurePosixPath(m.filename).name for m in chosen}) < len(chosen):
        raise ValueError(f"{archive.name} holds a file of the same name twice; pack one release. Nothing was extracted.")
    if (total := sum(m.file_size for m in chosen)) > MAX_BYTES:
        raise ValueError(f"{archive.name} would need {total >> 30:,} GiB; extract it yourself and give the folder.")
    return chosen
