"""Files of a table, read in parts: a page reads the first rows, each Spark task a part of its own."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, cast

from workers.prepare.tables import lines as table_lines
from workers.prepare.tables.columns import Output, as_text, shape
from workers.prepare.tables.fields import Layout
from workers.stores import READ_AHEAD, open_file, open_parquet

if TYPE_CHECKING:
    import pyarrow as pa
    from _typeshed import WriteableBuffer

BLOCK, MAX_LINE = 1 << 20, 64 << 20
MAX_RATIO, FREE_BYTES = 100, 64 << 20  # tables of interactions compress 4 to 20 times
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")  # where a line end is no single byte
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile)
Compression = Literal["none", "gzip", "bz2", "zstd", "xz", "zip"]


class Part(NamedTuple):
    """A part of a file that one task reads.

    start, end: bytes of plain text; the lines that begin there. row_group: of a Parquet file. member: of a zip file.
    """

    path: str
    compression: Compression = "none"
    member: str | None = None
    start: int = 0
    end: int | None = None
    row_group: int | None = None


def read(part: Part, layout: Layout | None, wanted: Sequence[str]) -> "Iterator[pa.Table]":
    """`wanted` columns as text, `problem` and `raw`, in the order of the file. Without a layout the file is Parquet.

    Raises:
        ValueError: the file is damaged, or grows more when it is unpacked than a table does.
    """
    if layout is None:
        yield from _parquet(part, wanted)
        return
    name = Path(part.path).name
    try:
        with open_part(part) as stream:
            if layout.quoting == "lines" and layout.format == "csv":
                yield from table_lines.batches(table_lines.records(_text(stream, layout.encoding), layout), layout, wanted)
            elif layout.encoding in WIDE:
                text = _text(stream, layout.encoding)
                while lines := text.readlines(BLOCK):
                    yield table_lines.parse([_utf8(line.rstrip("\r\n")) for line in lines], layout, wanted, "utf-8")
            else:
                for chunk in chunks(stream, part.start, part.end, name):
                    yield table_lines.parse(chunk.splitlines(), layout, wanted)
    except DAMAGED as error:
        raise ValueError(f"{name} is damaged ({error}); copy it again.") from error
    except OSError as error:
        if "Invalid data stream" in str(error) or "decompress" in str(error):
            raise ValueError(f"{name} is damaged ({error}); copy it again.") from error
        raise


def _text(stream: IO[bytes], encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(cast(Any, stream), "utf-8-sig" if encoding == "utf-8" else encoding, "surrogateescape", newline="")


def _utf8(line: str) -> bytes:
    return line.encode("utf-8", "surrogatepass")  # text that could not be decoded stays so


def open_part(part: Part, ahead: int = READ_AHEAD) -> IO[bytes]:
    """The content of a file, unpacked while it is read; it may not grow more than a table does. ahead: as of `open_file`."""
    packed = open_file(part.path, ahead)
    if part.compression == "none":
        return packed
    if part.compression == "zip":
        archive, member = zipfile.ZipFile(packed), cast(str, part.member)
        inner, size = archive.open(member), archive.getinfo(member).compress_size
    else:
        size = packed.seek(0, io.SEEK_END)
        packed.seek(0)
        inner = _unpacking(packed, part.compression)
    return cast(IO[bytes], io.BufferedReader(LimitedReader(inner, packed, size, Path(part.path).name), BLOCK))


def _unpacking(packed: IO[bytes], compression: Compression) -> IO[bytes]:
    if compression == "zstd":
        import pyarrow as pa

        return cast(IO[bytes], pa.CompressedInputStream(packed, "zstd"))
    if compression == "gzip":
        return cast(IO[bytes], gzip.open(packed, "rb"))
    return cast(IO[bytes], bz2.open(packed, "rb") if compression == "bz2" else lzma.open(packed, "rb"))


class LimitedReader(io.RawIOBase):
    """Reads unpacked bytes; ValueError when they are more than MAX_RATIO times the packed ones."""

    def __init__(self, inner: IO[bytes], packed: IO[bytes], size: int, name: str) -> None:
        self.inner, self.packed, self.name, self.left = inner, packed, name, max(MAX_RATIO * size, FREE_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self.inner.read(len(view))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"{self.name} grows more than {MAX_RATIO} times when it is unpacked, which no table does. It was not read on.")
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.inner.close()
        self.packed.close()
        super().close()


def chunks(stream: IO[bytes], start: int = 0, end: int | None = None, name: str = "the file") -> Iterator[bytes]:
    r"""Blocks of whole lines: those that begin at `start` or later and before `end`. Lines end in \n, \r\n or \r."""
    at, held = start, b""
    if start:
        at -= 1
        stream.seek(at)
        skipped, held = _after_line_end(stream, name)
        at += skipped
    while end is None or at < end:
        data = stream.read(BLOCK)
        held += data
        if data.endswith(b"\r"):
            held += (more := stream.read(1))
            data += more
        if not data and held:
            last = _line_end(held, end - 1 - at) if end is not None else -1
            yield held[:last] if last > 0 else held
        if not data:
            return
        if end is not None and at + len(held) >= end and (last := _line_end(held, end - 1 - at)) > 0:
            yield held[:last]
            return
        cut = max(held.rfind(b"\n"), held.rfind(b"\r")) + 1
        if cut:
            yield held[:cut]
            at, held = at + cut, held[cut:]
        elif len(held) > MAX_LINE:
            raise ValueError(f"{name} has a line of more than {MAX_LINE >> 20} MiB; it is no table of lines.")


def _after_line_end(stream: IO[bytes], name: str) -> tuple[int, bytes]:
    """Bytes up to the next line, and what was read of it."""
    held = b""
    while data := stream.read(1 << 16):
        held += data
        if held.endswith(b"\r"):
            held += stream.read(1)
        if (last := _line_end(held, 0)) > 0:
            return last, held[last:]
        if len(held) > MAX_LINE:
            raise ValueError(f"{name} has a line of more than {MAX_LINE >> 20} MiB; it is no table of lines.")
    return len(held), b""


def _line_end(held: bytes, at: int) -> int:
    """Where the line that byte `at` belongs to, or ends, is over; 0 when that is not in sight."""
    at = max(at, 0)
    ends = [place for place in (held.find(b"\n", at), held.find(b"\r", at)) if place >= 0]
    if not ends:
        return 0
    place = min(ends)
    return place + 2 if held[place : place + 2] == b"\r\n" else place + 1


def _parquet(part: Part, wanted: Sequence[str]) -> "Iterator[pa.Table]":
    import pyarrow as pa

    with open_parquet(part.path) as file:
        groups = range(file.num_row_groups) if part.row_group is None else [part.row_group]
        for batch in file.iter_batches(table_lines.BATCH_ROWS, row_groups=list(groups), columns=list(wanted)):
            yield pa.table({name: as_text(batch.column(name)) for name in wanted})


@dataclass(frozen=True)
class PartsReader:
    """A mapInArrow function over `id`s: each the place of a part in `parts`."""

    parts: tuple[Part, ...]
    layout: Layout | None
    outputs: tuple[Output, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        wanted = list(dict.fromkeys(output.column for output in self.outputs))
        for batch in batches:
            for place in batch.column("id").to_pylist():
                for table in read(self.parts[place], self.layout, wanted):
                    yield from shape(table, self.outputs).combine_chunks().to_batches(max_chunksize=table_lines.BATCH_ROWS)


@dataclass(frozen=True)
class LinesReader:
    """A mapInArrow function over lines that Spark read: `value` is binary."""

    layout: Layout
    outputs: tuple[Output, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        wanted = list(dict.fromkeys(output.column for output in self.outputs))
        for batch in batches:
            table = table_lines.parse(batch.column("value").to_pylist(), self.layout, wanted)
            yield from shape(table, self.outputs).combine_chunks().to_batches()


@dataclass(frozen=True)
class ColumnsReader:
    """A mapInArrow function over typed columns that Spark read."""

    outputs: tuple[Output, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        for batch in batches:
            table = pa.table({name: as_text(batch.column(name)) for name in batch.schema.names})
            yield from shape(table, self.outputs).combine_chunks().to_batches()
