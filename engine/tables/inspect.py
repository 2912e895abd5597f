"""The first look at any table, local or not."""

from pathlib import PurePosixPath

from engine.tables import open as opening
from engine.tables.guess import EXPECTED, GUESS_ROWS, Rows, TableGuess, Which, assemble, guess_text
from engine.tables.paths import InputFile, check_uri, files, head, is_remote, look
from engine.tables.specs import Encoding, Format, Quoting
from workers.prepare.tables import as_text, refused_type


def inspect_table(
    path: str,
    *,
    table: Which = "interactions",
    format: Format | None = None,
    encoding: Encoding | None = None,
    delimiter: str | None = None,
    quoting: Quoting | None = None,
    header: bool | None = None,
) -> TableGuess:
    """Look at the head of a table. What is given is taken as it is, all else is guessed.

    Raises:
        ValueError, FileNotFoundError: it cannot be read, or is refused; says what to do.
    """
    given = {"format": format, "encoding": encoding, "delimiter": delimiter, "quoting": quoting, "header": header}
    given = {name: value for name, value in given.items() if value is not None}
    if is_remote(path):
        from engine.tables import peek, stored

        check_uri(path)
        spark = stored.active()
        return stored.guess(spark, path, table, given) if spark else peek.guess(path, table, given)
    found = [look(file) for file in files(path)]
    facts = {"path": path, "files": len(found), "bytes": sum(f.path.stat().st_size for f in found), "compression": found[0].compression}
    if found[0].kind == "parquet":
        names, rows, refused = _parquet_head(found[0])
        notes = _name_notes(found[0], "parquet") + refused
        return assemble({**facts, "format": "parquet"}, table, names, names, rows, notes=notes)
    start = head(found[0])
    notes = _name_notes(found[0], "jsonl" if given.get("format") == "jsonl" else "csv")
    return guess_text(facts, table, found[0].member or found[0].path.name, start, given, notes)


def _name_notes(found: InputFile, kind: str) -> list[str]:
    suffixes = [s.lower() for s in PurePosixPath(found.member or found.path.name).suffixes]
    said = next(
        (name for name, endings in EXPECTED.items() if endings & set(suffixes)), "csv" if {".csv", ".tsv"} & set(suffixes) else None
    )
    notes = []
    if said and (said == "parquet") != (kind == "parquet"):
        notes.append(
            f"{found.path.name} is named like {said}, but its content is {'Parquet' if kind == 'parquet' else 'text'}; that decides."
        )
    if found.member:
        notes.append(f"{found.path.name} is a zip file; {found.member} in it is read.")
    return notes


def _parquet_head(found: InputFile) -> tuple[list[str], Rows, list[str]]:
    """Column names, the first rows as text (null where a column cannot be read), and which cannot."""
    import pyarrow.parquet as pq

    schema = opening.parquet_schema(found)
    bad = {field.name: why for field in schema if (why := refused_type(field.type))}
    wanted = [name for name in schema.names if name not in bad]
    with pq.ParquetFile(found.path) as file:
        batch = next(file.iter_batches(GUESS_ROWS, columns=wanted), None) if wanted else None
    count = batch.num_rows if batch is not None else 0
    columns = {name: as_text(batch.column(name)).to_pylist() for name in wanted} if batch is not None else {}
    rows = [list(row) for row in zip(*(columns.get(name, [None] * count) for name in schema.names), strict=True)]
    return list(schema.names), rows, [f"{name!r} is {why} and cannot be read as plain values." for name, why in bad.items()]
