"""Read a table of this machine or of a store: its head for checks and forms, its first rows for previews, all on Spark's executors."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.tables.objects import ListedFile, identity, together
from engine.tables.open import HEAD_ROWS, OpenTable, open_table, parquet_schema
from engine.tables.paths import InputFile, files, head, identify, needs_spark
from engine.tables.plain_lines import content_digest
from engine.tables.specs import TableFile, spark_schema
from workers.prepare.tables import WIDE, Layout, Output, Part, PartsReader, read, refused_type, shape
from workers.stores import is_stored, open_parquet

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

SPLIT_BYTES = 64 << 20
GROWTH = {"none": 1, "zip": 5, "gzip": 5, "bz2": 7, "xz": 7, "zstd": 5}  # of compressed text, to estimate its rows
BYTES_A_ROW = 40


def check(table: TableFile, outputs: Sequence[Output], prefix: str = "") -> None:
    """ValueError or FileNotFoundError when the table cannot be read as mapped; reads heads only."""
    try:
        if needs_spark(table.path):
            from engine.tables import remote

            remote.check(table, outputs)
            return
        opened = open_table(table)
        for column in table.columns:
            if column.name not in opened.names and column.role != "ignore":
                raise ValueError(f"There is no column {column.name!r} in {Path(table.path).name}; it has {', '.join(opened.names)[:400]}.")
        _check_content(table, opened, outputs)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{prefix}{error}") from error


def _check_content(table: TableFile, opened: OpenTable, outputs: Sequence[Output]) -> None:
    name, wanted = Path(table.path).name, [output.column for output in outputs]
    if opened.layout is None:
        for column in wanted:
            if why := refused_type(parquet_schema(opened.files[0]).field(column).type):
                raise ValueError(f"{column!r} of {name} is {why}, which cannot be read as plain values; set it to ignore.")
    rows = next(_tables(opened, outputs, HEAD_ROWS), None)
    if rows is None:
        raise ValueError(f"{name} holds a header and no row; copy or save it again." if table.format == "csv" else f"{name} holds no row.")
    problems = [problem for problem in rows["problem"].to_pylist() if problem]
    if len(problems) == rows.num_rows:
        raise ValueError(
            f"No row in the head of {name} can be read; the first has {problems[0]}: {str(rows['raw'][0])[:80]!r}. "
            "Check the delimiter, the quoting and the encoding."
        )
    if table.format == "jsonl":
        for output in outputs:
            if rows[output.name].null_count == rows.num_rows:
                raise ValueError(f"No row in the head of {name} has the key {output.column!r}; check the column.")


def _tables(opened: OpenTable, outputs: Sequence[Output], limit: int) -> "Iterator[pa.Table]":
    """Parts of the first `limit` rows; empty parts are skipped."""
    wanted, rows = list(dict.fromkeys(output.column for output in outputs)), 0
    for file in opened.files:
        for table in read(file.part, opened.layout, wanted):
            if table.num_rows:
                shaped = shape(table.slice(0, limit - rows), outputs).slice(0, limit - rows)  # a row of lists may become many
                rows += shaped.num_rows
                yield shaped
            if rows >= limit:
                return


def frame(table: TableFile, outputs: Sequence[Output], limit: int) -> "pd.DataFrame":
    """The first `limit` rows: the columns of `outputs`, then problem and raw."""
    import pyarrow as pa

    if needs_spark(table.path):
        from engine.tables import remote

        return remote.frame(table, outputs, limit)
    parts = list(_tables(open_table(table), outputs, limit))
    if not parts:
        nothing = pa.table({name: pa.nulls(0, pa.string()) for name in dict.fromkeys(output.column for output in outputs)})
        parts = [shape(nothing, outputs)]
    return pa.concat_tables(parts).to_pandas()


def load(spark: "SparkSession", table: TableFile, outputs: Sequence[Output]) -> "DataFrame":
    """All rows, read by the executors in parts of about 64 MiB: lines, row groups, or whole compressed files."""
    if needs_spark(table.path):
        from engine.tables import stored

        return stored.load(spark, table, outputs)
    opened = open_table(table)
    parts = [part for some in together(partial(_parts, layout=opened.layout), opened.files) for part in some]
    size = sum(file.size for file in opened.files)
    slices = min(len(parts), max(2 * spark.sparkContext.defaultParallelism, size // SPLIT_BYTES))
    reader = PartsReader(tuple(parts), opened.layout, tuple(outputs))
    return spark.range(0, len(parts), 1, slices).mapInArrow(reader, spark_schema(outputs))


def _parts(file: InputFile, layout: Layout | None) -> list[Part]:
    if layout is None:
        with open_parquet(file.part.path) as opened:
            return [file.part._replace(row_group=group) for group in range(opened.num_row_groups)]
    size = file.size
    if file.compression != "none" or layout.quoting == "lines" or layout.encoding in WIDE or size <= SPLIT_BYTES:
        return [file.part]
    return [file.part._replace(start=at, end=min(at + SPLIT_BYTES, size)) for at in range(0, size, SPLIT_BYTES)]


def digest(table: TableFile, outputs: Sequence[Output]) -> str:
    """SHA-256 of the contents, file after file; of an object in a store, of its size and its ETag."""
    if needs_spark(table.path):
        from engine.tables import remote

        return remote.digest(table, outputs)
    total = hashlib.sha256()
    for part in together(_identity, files(table.path)):
        total.update(f"{part}\n".encode())
    return total.hexdigest()


def _identity(file: ListedFile) -> str:
    if is_stored(file.place):
        return identity(file)
    facts = (path := Path(file.place)).stat()
    return content_digest(path, facts.st_size, facts.st_mtime_ns)


def size_hint(table: TableFile) -> int:
    """Approximate number of rows, from the length of the first lines."""
    if needs_spark(table.path):
        from engine.tables import remote

        return remote.size_hint(table)
    inputs = together(identify, files(table.path))
    if inputs[0].kind == "parquet":
        return sum(together(_rows, [file for file in inputs if file.kind == "parquet"]))
    start = head(inputs[0], 1 << 16)
    lines = max(start.count(b"\n"), start.count(b"\r"))
    size = sum(file.size * GROWTH[file.compression] for file in inputs)
    return int(size / (len(start) / lines if lines else BYTES_A_ROW))


def _rows(file: InputFile) -> int:
    with open_parquet(file.part.path) as opened:
        return int(opened.metadata.num_rows)


def notes(table: TableFile, outputs: Sequence[Output], where: str) -> list[str]:
    """Sentences on how a table is read, and on how many rows of its head cannot be read."""
    name = Path(table.path).name if not needs_spark(table.path) else table.path
    if needs_spark(table.path):
        return [f"{name} is read by Spark ({table.format}); values become text without loss, dates and times are in UTC."]
    how = f"Parquet, whole numbers and dates as text ({where})"
    if table.format != "parquet":
        delimiter = {"\t": "tab", " ": "blanks"}.get(table.delimiter, repr(table.delimiter))
        escapes = ", escapes with a backslash" if table.escape == "backslash" else ""
        line = (
            f"delimiter {delimiter}{escapes}, {'with' if table.header else 'without'} a header"
            if table.format == "csv"
            else "one JSON object per line"
        )
        how = f"{table.encoding.upper()} text, {line} ({where}); every value keeps its exact characters"
    sentences = [f"{name} is read as {how}."]
    if table.format == "csv" and table.header:
        sentences.append("Lines that repeat the header are skipped, and so are blank lines.")
    rows: Any = next(_tables(open_table(table), outputs, HEAD_ROWS), None)
    if where != "interactions" and rows is not None and (bad := rows.num_rows - rows["problem"].null_count):
        sentences.append(f"{bad:,} of the first {rows.num_rows:,} rows of {name} cannot be read and are left out.")
    return sentences
