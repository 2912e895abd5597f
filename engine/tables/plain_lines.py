"""Delimited text without quotes, one row per line: pandas and Spark read it alike, with the same problems of bad lines."""

import functools
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO, cast

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

HEAD_BYTES, CHUNK_LINES, LOOK_LINES = 1 << 20, 200_000, 200
LOST, NUL = "\ufffd", "\x00"
LOST_TEXT, NUL_TEXT = "bytes that are not UTF-8 text", "a NUL byte"


class Layout(NamedTuple):
    """The layout of a row in a line.

    columns: the name of each field in turn, None for one that is not read. header: lines that say the same are no rows.
    """

    columns: tuple[str | None, ...]
    separator: str
    header: str | None = None

    @property
    def named(self) -> list[tuple[int, str]]:
        return [(k, name) for k, name in enumerate(self.columns) if name]


def first_line(path: Path) -> str:
    """The first line that is not blank.

    Raises:
        ValueError: the file is empty, or no UTF-8 text in lines.
    """
    try:
        with _open_binary(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name} cannot be read: {error}.") from error
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or head.count(b"\0") > len(head) // 10:
        raise ValueError(f"{path.name} is UTF-16 or no text at all; save it as UTF-8 text.")
    lines = [line for line in re.split("\r\n|\r|\n", head.decode("utf-8-sig", "replace")) if line.strip(" ")]
    if not lines:
        raise ValueError(f"{path.name} is empty; copy it again.")
    if len(head) == HEAD_BYTES and not re.search(rb"[\r\n]", head):
        raise ValueError(f"{path.name} has no line end in its first MiB; it is no table of lines.")
    return lines[0]


def check_rows(path: Path, layout: Layout) -> None:
    """ValueError when there is no row at all, or when none of the first lines has the fields of the layout."""
    rows = read([path], layout, LOOK_LINES)
    if rows.empty:
        raise ValueError(f"{path.name} holds no row; copy it again.")
    if rows["problem"].notna().all():
        what, line = rows["problem"].iloc[0], rows["raw"].iloc[0]
        raise ValueError(f"No line in the head of {path.name} can be read; the first has {what}: {line[:80]!r}. Is it the right file?")


def read(paths: Sequence[Path], layout: Layout, limit: int) -> "pd.DataFrame":
    """The first rows, file after file: the layout's columns as text, null past the end of a short line; `problem` and `raw`.

    Blank lines and lines that repeat the header are skipped.
    """
    import pyarrow as pa

    parts, rows = [], 0
    for lines in (lines for path in paths for lines in _chunks(path, min(CHUNK_LINES, limit + LOOK_LINES))):
        parts.append(_parsed(lines, layout).slice(0, limit - rows))
        rows += len(parts[-1])
        if rows >= limit:
            break
    return pa.concat_tables(parts).to_pandas() if parts else _parsed([], layout).to_pandas()


def load(spark: "SparkSession", paths: Sequence[Path], layout: Layout) -> "DataFrame":
    """The same in Spark, of all rows, read by the executors."""
    from pyspark.sql import functions as F

    line = F.col("line")
    files = [re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path.resolve())) for path in paths]  # Spark reads these as patterns
    lines = spark.read.text(files).select(F.make_valid_utf8("value").alias("line")).where(F.trim(line) != "")
    if layout.header is not None:
        lines = lines.where(line != layout.header)
    fields = F.split(line, re.escape(layout.separator), -1)
    problem = _problem(line, F.size(fields), len(layout.columns))
    return lines.select(
        *(F.get(fields, F.lit(k)).alias(name) for k, name in layout.named),
        problem.alias("problem"),
        F.when(problem.isNotNull(), line).alias("raw"),
    )


def _problem(line: "Column", count: "Column", wanted: int) -> "Column":
    from pyspark.sql import functions as F

    fields = F.when(count == 1, F.lit("1 field")).otherwise(F.concat(count.cast("string"), F.lit(" fields")))
    return (
        F.when(line.contains(LOST), F.lit(LOST_TEXT))
        .when(line.contains(NUL), F.lit(NUL_TEXT))
        .when(count != wanted, F.concat(fields, F.lit(f" instead of {wanted}")))
    )


def _open_binary(path: Path) -> "gzip.GzipFile":
    return cast("gzip.GzipFile", gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb"))


def _chunks(path: Path, size: int) -> Iterator[list[str]]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with cast(TextIO, opened(path, "rt", encoding="utf-8-sig", errors="replace")) as file:
            while lines := list(islice(file, size)):
                yield [line.removesuffix("\n") for line in lines]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path.name} is damaged ({error}); copy it again.") from error


def _parsed(lines: list[str], layout: Layout) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.array(lines, pa.string())
    keep = pc.not_equal(pc.utf8_trim(text, " "), "")
    if layout.header is not None:
        keep = pc.and_(keep, pc.not_equal(text, layout.header))
    text = text.filter(keep)
    fields = pc.split_pattern(text, layout.separator)
    count, starts = pc.list_value_length(fields), fields.offsets[:-1]
    nothing, wanted = pa.scalar(None, pa.string()), len(layout.columns)
    columns = {
        name: fields.values.take(pc.if_else(pc.greater(count, k), pc.add(starts, pa.scalar(k, pa.int32())), None))
        for k, name in layout.named
    }
    counted = pc.if_else(pc.equal(count, 1), "1 field", pc.binary_join_element_wise(count.cast(pa.string()), "fields", " "))
    problem = pc.if_else(pc.equal(count, wanted), nothing, pc.binary_join_element_wise(counted, f"instead of {wanted}", " "))
    problem = pc.if_else(pc.match_substring(text, NUL), NUL_TEXT, problem)
    problem = pc.if_else(pc.match_substring(text, LOST), LOST_TEXT, problem)
    return pa.table({**columns, "problem": problem, "raw": pc.if_else(pc.is_valid(problem), text, nothing)})


def fingerprint(paths: Sequence[Path], *more: str) -> str:
    """SHA-256, in hex, of the names and contents of some files, and of `more`."""
    total = hashlib.sha256("".join(f"{text}\n" for text in more).encode())
    for path in paths:
        facts = path.stat()
        total.update(f"{path.name} {content_digest(path.resolve(), facts.st_size, facts.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@functools.lru_cache(maxsize=10_000)
def content_digest(path: Path, size: int, changed: int) -> str:
    """Digest of the content of a file, which may be large; cached while size and time of change stay the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
