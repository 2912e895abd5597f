"""Paths of tables: which may be read, the files behind them, and the kind of each file by its content."""

import os
import re
import stat
import urllib.parse
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, cast

from engine.settings import readable, settings
from engine.tables import archive as _archive
from engine.tables.foreign import NEVER, PACKED, SHEET, UNSAFE, refuse, refuse_content, refuse_name
from engine.tables.objects import ListedFile, objects
from workers.prepare.tables import DAMAGED, Compression, Part, open_part
from workers.stores import HEAD, is_stored, open_file

OF_SPARK, SCHEMES = ("hdfs", "dbfs"), ("s3", "s3a", "gs", "abfs", "abfss", "hdfs", "dbfs")
TABLE, DELTA = "table:", "delta:"
HEAD_BYTES, MAX_FILES = 1 << 20, 100_000
TEXT = {".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".psv", ".json", ".jsonl", ".ndjson", ".inter", ".user", ".item"}
TABLES = TEXT | PACKED | {".parquet", ".pq"}
MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip"),
)  # fmt: skip


class InputFile(NamedTuple):
    """One input file: its compression and member of a zip, and its kind by its content."""

    file: ListedFile
    compression: Compression
    member: str | None
    kind: Literal["text", "parquet"]

    @property
    def name(self) -> str:
        return self.file.name

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def part(self) -> Part:
        return Part(self.file.place, self.compression, self.member)


def needs_spark(path: str) -> bool:
    """Whether only Spark can read a path: a table of the catalogue, Delta, or a URI that is neither of a file nor of an object."""
    return path.startswith((TABLE, DELTA)) or not (is_stored(path) or _scheme(path) in (None, "file"))


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


def files(path: str) -> list[ListedFile]:
    """The files of a table in the order they are read: the file or object itself, or those of a folder and its folders by name.

    Names that begin with "." or "_" are skipped, as Spark does; so are other files, such as a README, next to tables.
    """
    if is_stored(path):
        stored = {file.below: file for file in objects(path)}
        return list(stored.values()) if set(stored) == {""} else [stored[name] for name in _tables(path, stored)]
    root = local(path)
    if not root.is_dir():
        return [_regular(root, "")]
    names: list[str] = []
    for folder, inner, here in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith((".", "_")))
        names += [(Path(folder) / name).relative_to(root).as_posix() for name in here]
        if len(names) > MAX_FILES:
            break
    return [_regular(local(str(root / name)), name) for name in _tables(path, names)]


def _tables(path: str, names: Iterable[str]) -> list[str]:
    """Of the files in a folder those that are read, in that order."""
    seen = [name for name in names if not any(part.startswith((".", "_")) for part in name.split("/"))]
    if len(seen) > MAX_FILES:
        raise ValueError(f"{path} holds more than {MAX_FILES:,} files; give a folder of fewer, larger ones.")
    tables = [name for name in seen if PurePosixPath(name).suffix.lower() in TABLES | UNSAFE] or seen
    if not tables:
        raise ValueError(f"{path} holds no file; give the folder that holds the table.")
    return sorted(tables)


def _regular(path: Path, below: str) -> ListedFile:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"{path} is not a regular file; copy its content into one.")
    if not os.access(path, os.R_OK):
        raise ValueError(f"{path} may not be read by this user; change its permissions.")
    return ListedFile(str(path), facts.st_size, below)


def identify(file: ListedFile) -> InputFile:
    """The kind of a file by its content.

    Raises:
        ValueError: it is empty, not a table, or of a kind that is never opened.
    """
    refuse_name(file.name)
    with open_file(file.place, HEAD) as opened:
        start = opened.read(16)
    if not start:
        raise ValueError(f"{file.name} is empty; copy or save it again.")
    refuse_content(file.name, start)
    if start.startswith(b"PAR1"):
        return InputFile(file, "none", None, "parquet")
    packed = next((kind for magic, kind in MAGIC if start.startswith(magic)), None)
    if packed is None:
        return InputFile(file, "none", None, "text")
    member = _inside(file) if packed == "zip" else None
    input_file = InputFile(file, packed, member, "text")
    inner = head(input_file, 16)
    refuse_content(member or file.name, inner)
    if inner.startswith(b"PAR1") or any(inner.startswith(magic) for magic, _ in MAGIC):
        raise ValueError(f"{file.name} holds {member or 'something'} that is itself compressed; unpack it and give the path of the table.")
    return input_file


def head(file: InputFile, size: int = HEAD_BYTES) -> bytes:
    """The first bytes of the content, uncompressed."""
    try:
        with open_part(file.part, max(size, HEAD)) as stream:
            return stream.read(size)
    except (*DAMAGED, OSError, RuntimeError, NotImplementedError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{file.name} cannot be unpacked ({error}); copy it again, or unpack it yourself.") from error


def _inside(file: ListedFile) -> str:
    """The one table in a zip file, after the same rules as for all archives."""
    try:
        with open_file(file.place, HEAD) as packed, zipfile.ZipFile(packed) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise ValueError(f"{file.name} is not a zip file that can be read ({error}); copy it again.") from error
    names = [m.filename for m in members if not m.is_dir() and "__MACOSX" not in m.filename]
    if any(PurePosixPath(name).suffix.lower() in UNSAFE for name in names):
        raise ValueError(f"{file.name} holds a pickle or a model: {NEVER}.")
    if {"xl/workbook.xml", "xl/workbook.bin"} & set(names) or {"content.xml", "mimetype"} <= set(names):
        refuse(file.name, SHEET)
    shown = [name for name in names if not PurePosixPath(name).name.startswith((".", "_"))]
    tables = [name for name in shown if PurePosixPath(name).suffix.lower() in TABLES] if len(shown) > 1 else shown
    _archive._chosen(Path(file.place), members, {PurePosixPath(name).name for name in tables or names})
    if len(tables) != 1:
        held = ", ".join(sorted(tables or names)[:8]) or "nothing"
        raise ValueError(f"{file.name} holds {held}; pack one table, or unpack it and give the path of the table.")
    if next(m for m in members if m.filename == tables[0]).flag_bits & 1:
        raise ValueError(f"{file.name} is encrypted; unpack it and give the path of the table.")
    return cast(str, tables[0])
