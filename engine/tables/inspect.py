"""Inspect the head of any table: of this machine, of a store, or of Spark."""

from pathlib import PurePosixPath

from engine.tables import open as opening
from engine.tables.guess import EXPECTED, GUESS_ROWS, Rows, TableGuess, Which, assemble, guess_text
from engine.tables.objects import together
from engine.tables.paths import InputFile, check_uri, files, head, identify, needs_spark
from engine.tables.specs import Encoding, Escape, Format, Quoting
from workers.prepare.tables import as_text, refused_type
from workers.stores import open_parquet


def inspect_table(
    path: str,
    *,
    table: Which = "interactions",
    format: Format | None = None,
    encoding: Encoding | None = None,
    delimiter: str | None = None,
    quoting: Quoting | None = None,
    escape: Escape | None = None,
    header: bool | None = None,
) -> TableGuess:
    """Guess how a table is written and what its columns mean, from its head. Given settings are used as they are.

    Raises:
        ValueError, FileNotFoundError: it cannot be read, or may not be; says what to do.
    """
    given = {"format": format, "encoding": encoding, "delimiter": delimiter, "quoting": quoting, "escape": escape, "header": header}
    given = {name: value for name, value in given.items() if value is not None}
    if needs_spark(path):
        from engine.tables import peek, stored

        check_uri(path)
        spark = stored.active()
        return stored.guess(spark, path, table, given) if spark else peek.guess(path, table, given)
    inputs = together(identify, files(path))
    facts = {"path": path, "files": len(inputs), "bytes": sum(f.size for f in inputs), "compression": inputs[0].compression}
    if inputs[0].kind == "parquet":
        names, rows, refused = _parquet_head(inputs[0])
        notes = _name_notes(inputs[0], "parquet") + refused
        return assemble({**facts, "format": "parquet"}, table, names, names, rows, notes=notes)
    start = head(inputs[0])
    notes = _name_notes(inputs[0], "jsonl" if given.get("format") == "jsonl" else "csv")
    return guess_text(facts, table, inputs[0].member or inputs[0].name, start, given, notes)


def _name_notes(file: InputFile, kind: str) -> list[str]:
    suffixes = [s.lower() for s in PurePosixPath(file.member or file.name).suffixes]
    expected = next(
        (name for name, endings in EXPECTED.items() if endings & set(suffixes)), "csv" if {".csv", ".tsv"} & set(suffixes) else None
    )
    notes = []
    if expected and (expected == "parquet") != (kind == "parquet"):
        notes.append(
            f"{file.name} is named like {expected}, but its content is {'Parquet' if kind == 'parquet' else 'text'}; that decides."
        )
    if file.member:
        notes.append(f"{file.name} is a zip file; {file.member} in it is read.")
    return notes


def _parquet_head(input_file: InputFile) -> tuple[list[str], Rows, list[str]]:
    """Column names, the first rows as text (null where a column cannot be read), and which cannot."""
    schema = opening.parquet_schema(input_file)
    bad = {field.name: why for field in schema if (why := refused_type(field.type))}
    wanted = [name for name in schema.names if name not in bad]
    with open_parquet(input_file.part.path) as file:
        batch = next(file.iter_batches(GUESS_ROWS, columns=wanted), None) if wanted else None
    count = batch.num_rows if batch is not None else 0
    columns = {name: as_text(batch.column(name)).to_pylist() for name in wanted} if batch is not None else {}
    rows = [list(row) for row in zip(*(columns.get(name, [None] * count) for name in schema.names), strict=True)]
    return list(schema.names), rows, [f"{name!r} is {why} and cannot be read as plain values." for name, why in bad.items()]
