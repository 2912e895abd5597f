"""Sentences about the columns of a guess: ids that may mean missing, numbers with commas, lists of items, ids in quotes."""

from collections.abc import Sequence

from engine.tables.absent import question
from engine.tables.guesses import ColumnGuess, Rows, Which
from engine.tables.names import ID, USER, words_of
from engine.tables.specs import NUMERIC
from engine.tables.values import known_values


def with_question(column: ColumnGuess, columns: Sequence[ColumnGuess], cells: Rows) -> ColumnGuess:
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
    asked = question(column.name, column.absent, column.rows, others if column.role == "user" else ())
    return column.model_copy(update={"absent_open": asked})


def number_notes(columns: Sequence[ColumnGuess]) -> list[str]:
    """How columns write numbers, where it is not with a point alone."""
    said = [f"{c.name} ({c.examples[0]})" for c in columns if c.numbers != "plain" and c.role in NUMERIC and c.examples]
    return [f"Numbers with commas or separators are read as numbers: {', '.join(said[:10])}."] if said else []


def list_notes(columns: Sequence[ColumnGuess], table: Which) -> list[str]:
    """Columns whose cells hold lists of items, and what becomes of them."""
    notes = []
    for column in columns:
        if column.listed != "one" and table == "interactions":
            of = "item-label" if column.listed == "pairs" else "items"
            what = "each becomes a row of its own" if column.role == "item" else "one row each is needed, and comes with the role item"
            notes.append(f"{column.name} holds lists of {of}: {what}.")
    return notes


def quoted_ids(columns: Sequence[ColumnGuess]) -> list[str]:
    """What to know of ids that have quotes around them in the file, as some spreadsheets write them."""
    notes = []
    for column in columns:
        quoted = next((text for text in column.examples if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'"), None)
        if column.role in ("user", "item") and quoted is not None:
            notes.append(f"{column.name} has ids with quotes around them, such as {quoted}: the quotes are kept as a part of the id.")
    return notes
