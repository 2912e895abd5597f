"""Paths of tables: which may be read, the files behind them, and the kind of each file by its content."""

import os
import re
import stat
import urllib.parse
import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, cast

from engine.settings import readable, settings
from engine.tables import archive as _archive
from engine.tables.foreign import NEVER, PACKED, SHEET, UNSAFE, refuse, refuse_content, refuse_name
from workers.prepare.tables import DAMAGED, Compression, Part, open_part

SCHEMES = ("s3", "s3a", "gs", "abfs", "abfss", "hdfs", "dbfs")
TABLE, DELTA = "table:", "delta:"
HEAD_BYTES, MAX_FILES = 1 << 20, 100_000
TEXT = {".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".psv", ".json", ".jsonl", ".ndjson", ".inter", ".user", ".item"}
TABLES = TEXT | PACKED | {".parquet", ".pq"}
MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip"),
)  # fmt: skip


class InputFile(NamedTuple):
    """One input file: its path, compression and member of a zip, and its kind by its content."""

    path: Path
    compression: Compression
    member: str | None
    kind: Literal["text", "parquet"]

    @property
    def part(self) -> Part:
        return Part(str(self.path), self.compression, self.member)


def is_remote(path: str) -> bool:
    """Whether only Spark can read a path: a table of the catalogue, Delta, or a URI of a store."""
    return path.startswith((TABLE, DELTA)) or _scheme(path) not in (None, "file")


def named(path: str) -> str:
    """A short name for a dataset from a file's name: lower-case letters, digits, dashes. Of an upload, the name that it was sent under."""
    file = PurePosixPath(path.replace("\\", "/"))
    stem = file.name.split(".")[0].lower()
    if file.parent == PurePosixPath(settings().uploads):
        stem = re.sub(r"-[0-9a-f]{12}$", "", stem)
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem)
    return "-".join(part for part in plain.split("-") if part)[:40].strip("-") or "table"


def _scheme(path: str) -> str | None:
    before, colon, _ = path.partition("://")
    if colon:
        return before.lower()
    return "file" if path.startswith("file:/") else None


def check_uri(uri: str) -> None:
    """ValueError for a URI that may not be read; local paths in `delta:` and `file:` follow the rules of `local`."""
    if "\0" in uri:
        raise ValueError("The path holds a NUL byte; check it.")
    if uri.startswith(TABLE):
        name = uri.removeprefix(TABLE)
        if not all(part and part.replace("_", "").replace("-", "").isalnum() for part in name.split(".")) or name.count(".") > 3:
            raise ValueError(f"{name!r} is not the name of a table; write table:catalogue.schema.name.")
        return
    inner = uri.removeprefix(DELTA)
    scheme = _scheme(inner)
    if scheme in ("http", "https", "ftp"):
        raise ValueError(f"{inner[:200]} is on the web; download the file and give its path.")
    if scheme not in (None, "file", *SCHEMES):
        raise ValueError(f"{scheme}:// cannot be read; give a path of this machine, or one of {', '.join(s + '://' for s in SCHEMES)}.")
    if scheme in (None, "file"):
        local(inner)


def local(path: str, what: str = "file or folder") -> Path:
    """A path of this machine with all links resolved, under one of the folders that may be read; `what` it leads to, in words.

    Raises:
        ValueError, FileNotFoundError: the path may not be read or does not exist; says what to do.
    """
    if "\0" in path:
        raise ValueError("The path holds a NUL byte; check it.")
    if _scheme(path) == "file":
        path = urllib.parse.unquote(urllib.parse.urlsplit(path).path)
    shown = path if len(path) < 300 else f"{path[:300]}…"
    try:
        real = Path(os.path.realpath(Path(path).expanduser()))
        there = real.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{shown} is not a path that can be read ({error}).") from None
    roots = readable()
    if not any(os.path.commonpath([root, real]) == str(root) for root in roots):
        raise ValueError(
            f"{shown} lies outside the folders that may be read ({', '.join(map(str, roots))}); move it there, "
            "or set RECBENCH_DATA_ROOTS and start again."
        )
    if not there:
        raise FileNotFoundError(f"There is no {what} {shown}; check the path.")
    return real


def files(path: str) -> list[Path]:
    """The files of a table in the order they are read: the file itself, or those of a folder and its folders by name.

    Names that begin with "." or "_" are skipped, as Spark does; so are other files, such as a README, next to tables.
    """
    root = local(path)
    if not root.is_dir():
        return [_regular(root)]
    paths: list[Path] = []
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "_")))
        paths += [Path(folder) / name for name in names if not name.startswith((".", "_"))]
        if len(paths) > MAX_FILES:
            raise ValueError(f"{path} holds more than {MAX_FILES:,} files; give a folder of fewer, larger ones.")
    named = [file for file in paths if file.suffix.lower() in TABLES | UNSAFE] or paths
    if not named:
        raise ValueError(f"{path} holds no file; give the folder that holds the table.")
    return [_regular(local(str(file))) for file in sorted(named, key=lambda file: file.relative_to(root).as_posix())]


def _regular(path: Path) -> Path:
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a regular file; copy its content into one.")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} may not be read by this user; change its permissions.")
    return path


def identify(path: Path) -> InputFile:
    """The kind of a file by its content.

    Raises:
        ValueError: it is empty, not a table, or of a kind that is never opened.
    """
    refuse_name(path.name)
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise ValueError(f"{path.name} is empty; copy or save it again.")
    refuse_content(path.name, start)
    if start.startswith(b"PAR1"):
        return InputFile(path, "none", None, "parquet")
    packed = next((kind for magic, kind in MAGIC if start.startswith(magic)), None)
    if packed is None:
        return InputFile(path, "none", None, "text")
    member = _inside(path) if packed == "zip" else None
    file_ = InputFile(path, packed, member, "text")
    inner = head(file_, 16)
    refuse_content(member or path.name, inner)
    if inner.startswith(b"PAR1") or any(inner.startswith(magic) for magic, _ in MAGIC):
        raise ValueError(f"{path.name} holds {member or 'something'} that is itself compressed; unpack it and give the path of the table.")
    return file_


def head(file: InputFile, size: int = HEAD_BYTES) -> bytes:
    """The first bytes of the content, uncompressed."""
    try:
        with open_part(file.part) as stream:
            return stream.read(size)
    except (*DAMAGED, OSError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"{file.path.name} cannot be unpacked ({error}); copy it again, or unpack it yourself.") from error


def _inside(path: Path) -> str:
    """The one table in a zip file, after the same rules as for all archives."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{path.name} is not a zip file that can be read ({error}); copy it again.") from error
    names = [m.filename for m in members if not m.is_dir() and "__MACOSX" not in m.filename]
    if any(PurePosixPath(name).suffix.lower() in UNSAFE for name in names):
        raise ValueError(f"{path.name} holds a pickle or a model: {NEVER}.")
    if {"xl/workbook.xml", "xl/workbook.bin"} & set(names) or {"content.xml", "mimetype"} <= set(names):
        refuse(path.name, SHEET)
    shown = [name for name in names if not PurePosixPath(name).name.startswith((".", "_"))]
    tables = [name for name in shown if PurePosixPath(name).suffix.lower() in TABLES] if len(shown) > 1 else shown
    _archive._chosen(path, members, {PurePosixPath(name).name for name in tables or names})
    if len(tables) != 1:
        held = ", ".join(sorted(tables or names)[:8]) or "nothing"
        raise ValueError(f"{path.name} holds {held}; pack one table, or unpack it and give the path of the table.")
    if next(m for m in members if m.filename == tables[0]).flag_bits & 1:
        raise ValueError(f"{path.name} is encrypted; unpack it and give the path of the table.")
    return cast(str, tables[0])
