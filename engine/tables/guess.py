"""Guess how a table is written and what its columns mean. The guess fills a form, where a person can correct it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from engine.tables import absent, delimiters, lists, numbers, sniff
from engine.tables import open as opening
from engine.tables.foreign import refuse_text
from engine.tables.guessed import ColumnGuess as ColumnGuess
from engine.tables.guessed import Rows, TableGuess, Which
from engine.tables.names import ID, USER, words_of
from engine.tables.outcomes import about_unrated, binary_range, unrated
from engine.tables.paths import HEAD_BYTES
from engine.tables.roles import known_names, meanings
from engine.tables.specs import NUMERIC, Escape, Quoting, unique_names
from engine.tables.unnamed import describing
from engine.tables.values import column_of, known_values
from workers.prepare.tables import Layout, json_text, quoted

GUESS_ROWS, SHOWN_ROWS, EXAMPLES = 1000, 50, 5
EXPECTED = {"parquet": {".parquet", ".pq"}, "jsonl": {".json", ".jsonl", ".ndjson"}}


def guess_text(
    facts: Mapping[str, Any], table: Which, name: str, start: bytes, given: Mapping[str, Any], notes: Sequence[str] = ()
) -> TableGuess:
    """A guess from the first bytes of a text file (unpacked)."""
    _refuse_binary(name, start)
    whole = len(start) < HEAD_BYTES
    detections: dict[str, sniff.Detection] = {
        "encoding": sniff.Detection(given["encoding"]) if "encoding" in given else sniff.encoding_of(start)
    }
    text = opening.text_of(start, detections["encoding"].value)
    lines = sniff.lines_of(text, whole)
    if not lines:
        raise ValueError(f"{name} is empty; copy or save it again.")
    opening.refuse_json_array(name, text)
    refuse_text(name, text)
    facts = {**facts, "encoding": detections["encoding"].value, "newline": sniff.newlines_of(text)}
    all_notes = [*notes, *_line_notes(text, facts["newline"])]
    if given.get("format", "jsonl" if sniff.is_json_lines(text) else "csv") == "jsonl":
        return _guess_json(facts, table, lines, detections, all_notes)
    layout = _layout(text, lines, given, detections)
    first = opening.header_of(name, text, layout)[0]
    rows, width, bad = _even_rows(text, lines, layout)
    if "header" in given:
        detections["header"] = sniff.Detection("yes" if given["header"] else "no")
    else:
        detections["header"] = sniff.header_of([first, *[row for row in rows if row != first]], known_names(unique_names(first)))
    named = detections["header"].value == "yes"
    headers = first if named else [f"column_{k}" for k in range(1, width + 1)]
    if named and len(headers) != width and rows[1:]:
        all_notes.append(
            f"The first line names {len(headers)} columns, but most lines have {width} fields: the lines that differ are set aside."
        )
    body = [cast(list[str | None], row) for row in rows if len(row) == len(headers) and not (named and row == first)]
    if not body and named:
        all_notes.append("There is no row below the header that fits it.")
    if bad:
        all_notes.append(f"{bad:,} of the first {bad + len(rows):,} lines cannot be read; they will be set aside with the reason.")
    facts = {**facts, "format": "csv", "header": named, **{name: detections[name].value for name in ("delimiter", "quoting", "escape")}}
    return assemble(facts, table, headers, list(unique_names(headers)), body, detections, all_notes)


def _layout(text: str, lines: list[str], given: Mapping[str, Any], detections: dict[str, sniff.Detection]) -> Layout:
    """Delimiter, quotes and escapes, as given or as detected; added to `detections`."""
    mark, quoting = given.get("delimiter"), given.get("quoting")
    escape = sniff.Detection(given["escape"]) if "escape" in given else delimiters.escape_of(text, lines, mark)
    layout = Layout("csv", (), detections["encoding"].value, quoting=quoting or "quotes", escape=cast(Escape, escape.value))
    detections["delimiter"] = sniff.Detection(mark) if mark else delimiters.delimiter_of(lines, layout)
    layout = layout._replace(delimiter=detections["delimiter"].value)
    detections["quoting"] = sniff.Detection(quoting) if quoting else delimiters.quoting_of(text, lines, layout)
    detections["escape"] = escape
    return layout._replace(quoting=cast(Quoting, detections["quoting"].value))


def _refuse_binary(name: str, start: bytes) -> None:
    odd = sum(byte < 9 or 13 < byte < 32 for byte in start[:4096].replace(b"\0", b""))
    if odd > 0.1 * min(len(start), 4096):
        raise ValueError(f"{name} is neither text nor Parquet; save the table as CSV, JSON lines or Parquet.")


def _line_notes(text: str, newline: str) -> list[str]:
    notes = ["Lines end in more than one way (LF, CRLF or CR); all are read as line ends."] if newline == "mixed" else []
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        notes.append(f"Line {line:,} holds a NUL byte; such lines are set aside.")
    return notes


def _even_rows(text: str, lines: list[str], layout: Layout) -> tuple[list[list[str]], int, int]:
    """The first rows that can be read, how many fields most have, and how many rows cannot be read."""
    if layout.quoting == "lines":
        parsed = [(fields, problem) for fields, problem, _ in opening.first_records(text, layout, GUESS_ROWS)]
    else:
        parsed = quoted(lines, layout)
    rows = [[value or "" for value in fields] for fields, _ in parsed if fields is not None]
    counts = [len(row) for row in rows[1:]] or [len(row) for row in rows]
    width = max(set(counts), key=lambda n: (counts.count(n), n)) if counts else 1
    return rows, width, len(parsed) - len(rows)


def _guess_json(
    facts: Mapping[str, Any], table: Which, lines: list[str], detections: Mapping[str, sniff.Detection], notes: list[str]
) -> TableGuess:
    objects, bad = [], 0
    for line in lines[:GUESS_ROWS]:
        try:
            row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            row = None
        bad += not isinstance(row, dict)
        objects += [row] if isinstance(row, dict) else []
    names = list(dict.fromkeys(name for row in objects for name in row))
    nested = [name for name in names if any(_is_nested(row.get(name)) for row in objects)]
    rows: Rows = [[None if n in nested else json_text(row.get(n)) for n in names] for row in objects]
    notes = notes + [f"{name!r} holds objects and cannot be read as plain values.{lists.flattened(name, objects)}" for name in nested]
    if bad:
        notes.append(f"{bad:,} of the first {len(lines[:GUESS_ROWS]):,} lines are not JSON objects; they will be set aside.")
    return assemble({**facts, "format": "jsonl", "header": True}, table, names, names, rows, detections, notes)


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(part, dict | list) for part in value))


def assemble(
    facts: Mapping[str, Any],
    table: Which,
    headers: Sequence[str],
    names: Sequence[str],
    rows: Rows,
    detections: Mapping[str, sniff.Detection] | None = None,
    notes: Sequence[str] = (),
) -> TableGuess:
    """A guess from rows as text: columns with their meanings, notes, and the settings to confirm."""
    rows = rows[:GUESS_ROWS]
    cells = [[row[k] for row in rows] for k in range(len(names))]
    wrote = numbers.written([(name, known_values(column)) for name, column in zip(names, cells, strict=True)])
    seen = [column_of(name, column, one.numbers, header) for name, column, one, header in zip(names, cells, wrote, headers, strict=True)]
    guessed, questions = meanings(seen, table, bool(facts.get("header", True)))
    held = [lists.lists_of(column) for column in seen]
    meant = lists.with_lists(seen, guessed, held) if table == "interactions" else guessed
    moved = {column.name for column, before, after in zip(seen, guessed, meant, strict=True) if before.role != after.role}
    questions = [question for question in questions if not moved & set(question.columns)]
    describes = describing(seen, questions) if table == "interactions" else {}
    columns = [
        ColumnGuess(
            name=c.name, header=h, role=m.role, side=m.side, separator=m.separator, type=c.type, time_unit=m.unit, ambiguous=m.ambiguous,
            units=m.units, examples=tuple(v[:100] for v in dict.fromkeys(known_values(values)))[:EXAMPLES], certain=m.certain, why=m.why,
            numbers=wrote_.numbers, numbers_open=wrote_.question if m.role in NUMERIC else None, rows=len(rows),
            absent=absent.absent_values(values, m.role in ("user", "item")), listed=held_.kind if held_ else "one",
            describes=describes.get(c.name, ()), distinct=c.distinct, binary=binary_range(c),
            about_values=None if (odd := unrated(c)) is None else about_unrated(c, odd),
        )
        for c, m, h, wrote_, values, held_ in zip(seen, meant, headers, wrote, cells, held, strict=True)
    ]  # fmt: skip
    if table == "interactions":
        columns = [_with_question(column, columns, cells) for column in columns]
    detections = detections or {}
    unsure = [name for name, what in detections.items() if not what.certain]
    changed = [f"{c.header!r} → {c.name}" for c in columns if c.header != c.name]
    all_notes = [*notes, *(what.note for what in detections.values() if what.note)]
    if changed:
        all_notes.append(f"Columns renamed, since names must differ and not be blank: {', '.join(changed[:20])}.")
    all_notes += [*_number_notes(columns), *_list_notes(columns, table), *_quoted_ids(columns)]
    fields = {"columns": tuple(columns), "unsure": tuple(unsure), "questions": tuple(questions), "notes": tuple(all_notes)}
    return TableGuess(**{**dict(facts), **fields, "table": table, "head": rows[:SHOWN_ROWS]}).timed()


def _with_question(column: ColumnGuess, columns: Sequence[ColumnGuess], cells: Rows) -> ColumnGuess:
    """The column, with a question where it is an id that may mean missing."""
    if column.role not in ("user", "item") or not column.absent:
        return column
    nouns = USER | {"session", "visit", "device", "cookie"}
    others = [
        other.name
        for other, values in zip(columns, cells, strict=True)
        if other is not column
        and (words := words_of(other.name)) & nouns
        and words <= nouns | ID
        and len(known_values(values)) == len(values)
    ]
    asked = absent.question(column.name, column.absent, column.rows, others if column.role == "user" else ())
    return column.model_copy(update={"absent_open": asked})


def _number_notes(columns: Sequence[ColumnGuess]) -> list[str]:
    """How columns write numbers, where it is not with a point alone."""
    said = [f"{c.name} ({c.examples[0]})" for c in columns if c.numbers != "plain" and c.role in NUMERIC and c.examples]
    return [f"Numbers with commas or separators are read as numbers: {', '.join(said[:10])}."] if said else []


def _list_notes(columns: Sequence[ColumnGuess], table: Which) -> list[str]:
    """Columns whose cells hold lists of items, and what becomes of them."""
    notes = []
    for column in columns:
        if column.listed != "one" and table == "interactions":
            of = "item-label" if column.listed == "pairs" else "items"
            what = "each becomes a row of its own" if column.role == "item" else "one row each is needed, and comes with the role item"
            notes.append(f"{column.name} holds lists of {of}: {what}.")
    return notes


def _quoted_ids(columns: Sequence[ColumnGuess]) -> list[str]:
    """What to know of ids that have quotes around them in the file, as some spreadsheets write them."""
    notes = []
    for column in columns:
        quoted_ = next((text for text in column.examples if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'"), None)
        if column.role in ("user", "item") and quoted_ is not None:
            notes.append(f"{column.name} has ids with quotes around them, such as {quoted_}: the quotes are kept as a part of the id.")
    return notes
