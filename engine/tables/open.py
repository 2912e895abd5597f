"""Open a local table: check that its files are alike, and determine its columns and layout. Reads the heads of files only."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from engine.tables.objects import together
from engine.tables.paths import HEAD_BYTES, InputFile, files, head, identify
from engine.tables.specs import TableFile, unique_names
from workers.prepare.tables import Layout, plain, quoted, ready
from workers.stores import open_parquet

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_ROWS = 1000


class OpenTable(NamedTuple):
    """The files of a table, the layout of their rows (None for Parquet) and the names of their columns."""

    files: tuple[InputFile, ...]
    layout: Layout | None
    names: tuple[str, ...]


def open_table(table: TableFile) -> OpenTable:
    """Open a local table.

    Raises:
        ValueError, FileNotFoundError: a file is missing, not allowed, empty, unlike the others, or not of the format of the table.
    """
    inputs = tuple(together(identify, files(table.path)))
    for file in inputs:
        wanted = "parquet" if table.format == "parquet" else "text"
        if file.kind != wanted:
            other = "Parquet" if file.kind == "parquet" else "text, not Parquet,"
            raise ValueError(f"{file.name} is {other} by its content, but the format chosen is {table.format}; choose the other.")
    if table.format == "parquet":
        return OpenTable(inputs, None, _parquet_names(inputs))
    if table.format == "jsonl":
        names = tuple(column.name for column in table.columns if column.role != "ignore")
        for file, start in zip(inputs, together(partial(head, size=4096), inputs), strict=True):
            refuse_json_array(file.name, text_of(start, table.encoding))
        return OpenTable(inputs, Layout("jsonl", names, table.encoding), names)
    layout = _csv_layout(table, inputs)
    return OpenTable(inputs, layout, layout.names)


def text_of(start: bytes, encoding: str) -> str:
    """The head of a text file; bytes that are not text in this encoding become U+FFFD, a byte order mark is removed."""
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    text = io.TextIOWrapper(io.BytesIO(start), codec, "replace", newline="").read()
    return text.removeprefix("\ufeff")


def refuse_json_array(name: str, text: str) -> None:
    if text.lstrip().startswith("["):
        raise ValueError(f"{name} is one JSON array; save one object per line (jq -c '.[]' {name} > table.jsonl) and give that.")


def header_of(name: str, text: str, layout: Layout) -> tuple[list[str], str]:
    """The fields of the first row that is not blank, and that row as text.

    Raises:
        ValueError: there is none, or its quotes cannot be read.
    """
    if not text.strip(" \r\n"):
        raise ValueError(f"{name} is empty; copy or save it again.")
    if layout.quoting == "lines":
        fields, problem, line = next(first_records(text, layout))
    else:
        line = next(line for line in text.replace("\r", "\n").split("\n") if line.strip(" "))
        fields, problem = quoted([line], layout)[0]
    if fields is None or "\x00" in line:
        raise ValueError(f"The first line of {name} has {problem or 'a NUL byte'}: {line[:80]!r}. Correct it, or choose another quoting.")
    return [field or "" for field in fields], line


def first_records(text: str, layout: Layout, limit: int = HEAD_ROWS) -> "Iterator[tuple[list[str | None] | None, str | None, str]]":
    """The first rows of any width; a last row that the end of the head cuts off is left out."""
    taken: list[str] = []

    def taking() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield ready(line, layout)

    rows = csv.reader(taking(), delimiter=layout.delimiter, strict=True)
    while limit > 0:
        taken.clear()
        try:
            row = next(rows, None)
            if row is None:
                return
            problem = None
        except csv.Error as error:
            row, problem = None, str(error)
        if line := "".join(taken).strip("\r\n"):
            limit -= 1
            yield (plain(row, layout) if row is not None else None), problem, line


def _csv_layout(table: TableFile, inputs: Sequence[InputFile]) -> Layout:
    layout = table.layout
    names: tuple[str, ...] | None = None
    lines: dict[str, None] = {}
    read = inputs if table.header else inputs[:1]
    starts = together(partial(head, size=HEAD_BYTES if len(read) == 1 else 1 << 16), read)
    for file, start in zip(read, starts, strict=True):
        text = text_of(start, table.encoding)
        if not table.header:
            return layout._replace(names=tuple(f"column_{k}" for k in range(1, _width(file.name, text, layout) + 1)))
        fields, line = header_of(file.name, text, layout)
        if names is None:
            names = unique_names(fields)
        elif unique_names(fields) != names:
            raise ValueError(
                f"{file.name} has the columns {', '.join(unique_names(fields))[:200]}, unlike {inputs[0].name} "
                f"({', '.join(names)[:200]}); give a folder of files that are written alike."
            )
        lines[line] = None
    return layout._replace(names=names or (), headers=tuple(lines))


def _width(name: str, text: str, layout: Layout) -> int:
    """The number of fields that most of the first rows have."""
    header_of(name, text, layout)
    if layout.quoting == "lines":
        rows = [fields for fields, _, _ in first_records(text, layout)]
    else:
        lines = [line for line in text.replace("\r", "\n").split("\n")[:HEAD_ROWS] if line.strip(" ")]
        rows = [fields for fields, _ in quoted(lines, layout)]
    counts = Counter(len(fields) for fields in rows if fields)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 1


def parquet_schema(file: InputFile) -> "pa.Schema":
    """The schema of a Parquet file.

    Raises:
        ValueError: damaged, or with columns of an extension type, which may run code.
    """
    import pyarrow as pa

    try:
        with open_parquet(file.part.path) as opened_file:
            schema = opened_file.schema_arrow
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file.name} is not a Parquet file that can be read ({str(error)[:200]}); copy it again.") from error
    for field in schema:
        if isinstance(field.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
            raise ValueError(f"{file.name}: {field.name!r} is of an extension type ({field.type}), which is never opened; save it without.")
    if len(set(schema.names)) < len(schema.names):
        raise ValueError(f"{file.name} has two columns of the same name; save it again with distinct names.")
    return schema


def _parquet_names(inputs: Sequence[InputFile]) -> tuple[str, ...]:
    schemas = together(parquet_schema, inputs)
    return tuple(name for name in schemas[0].names if all(name in schema.names for schema in schemas[1:]))
