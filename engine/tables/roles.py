"""Guess the meaning of columns from their names and first values, with a reason, and ask where that leaves it open."""

import re
from collections.abc import Sequence

from engine.tables.clock import times
from engine.tables.ids import by_place, ids, lists_ids, numbers_of_rows, other_ids
from engine.tables.meaning import Found, Meaning, Open, Question
from engine.tables.names import (
    ACTION,
    DONE,
    GENRES,
    ID,
    IMAGE,
    ITEM,
    ITEM_SIDE,
    KIND,
    ORDER,
    POSITION,
    RATED,
    SPLIT_VALUES,
    TAGS,
    TIME,
    TITLE,
    USER,
    USER_SIDE,
    type_in,
    words_of,
)  # fmt: skip
from engine.tables.outcomes import known_later, outcomes, prices, weights
from engine.tables.specs import Side
from engine.tables.unnamed import unnamed
from engine.tables.values import Column, one_for_each, separator_of

SHORT = 60  # characters of a description that can be a title
REPEATED = 5  # items that occur again, from which it is seen whether a title is theirs
HISTORY = {"hist", "history", "previous", "prev"}


def known_names(names: Sequence[str]) -> int:
    """The number of names that are usual for columns of interactions."""
    nouns = USER | ITEM | RATED | TIME | TITLE | GENRES | TAGS | ID | DONE | ACTION | KIND | ORDER
    return sum(bool(words := words_of(name)) and len(name) < 60 and words <= nouns | ITEM_SIDE | USER_SIDE for name in names)


def meanings(columns: Sequence[Column], table: str, header: bool) -> tuple[list[Meaning], list[Question]]:
    """The meaning of each column, and what is to be asked; a role for one column only goes to the best match."""
    chosen: list[Meaning | None] = [None] * len(columns)
    questions: list[Question] = []

    def take(found: Found) -> None:
        for place, meaning in found.taken:
            chosen[place] = chosen[place] or meaning
        questions.extend(found.questions)

    def open_() -> Open:
        return [c if chosen[k] is None else None for k, c in enumerate(columns)]

    take(numbers_of_rows(open_(), header))
    for find in (ids, times, outcomes, _splits, weights):
        take(find(open_(), table))
    take(_shown(open_(), table, _of(columns, chosen, "item")))
    take(other_ids(open_(), table))
    take(_positions(open_(), table))
    take(prices(open_(), table, _of(columns, chosen, "item")))
    take(known_later(open_(), table, any(m and m.role in ("label", "class", "action") for m in chosen)))
    if not header and table == "interactions" and (placed := by_place(columns, chosen)):
        questions = [*placed, *(question for question in questions if not set(question.columns) <= set(placed[0].columns))]
    sides: set[Side] = {"user", "item"} & {m.role for m in chosen if m}  # type: ignore[assignment]
    done = [m if m else _feature(c, table, sides) for c, m in zip(columns, chosen, strict=True)]
    if header and table == "interactions":
        questions += unnamed(columns, done)
    if table != "interactions":
        done = [m._replace(side="user" if table == "users" else "item") if m.role != "ignore" else m for m in done]
    return done, questions


def _of(columns: Sequence[Column], chosen: Sequence[Meaning | None], role: str) -> Column | None:
    return next((c for c, m in zip(columns, chosen, strict=True) if m and m.role == role), None)


def _splits(columns: Open, table: str) -> Found:
    near = [
        k for k, c in enumerate(columns) if c and c.values and c.distinct > 1 and all(v.strip().lower() in SPLIT_VALUES for v in c.values)
    ]
    if not near or table != "interactions":
        return Found([])
    return Found([(near[0], Meaning("split", "context", True, "its values say train, valid and test"))])


def _shown(columns: Open, table: str, item: Column | None) -> Found:
    """Titles, pictures and genres of items; what differs between the rows of one item is none of them."""
    if table == "users" or (table == "interactions" and item is None):
        return Found([])
    if item and table == "interactions":
        columns = [c if c and one_for_each(item, c, REPEATED) is not False else None for c in columns]
    taken: list[tuple[int, Meaning]] = []
    fits = {"genres": lambda _: True, "image": _pictures, "title": _names_an_item}
    for role, nouns in (("genres", GENRES), ("image", IMAGE), ("title", TITLE)):
        near = [
            k for k, c in enumerate(columns)
            if c and c.words & nouns and not c.words & USER and c.type in ("text", "list", "integer", "number") and fits[role](c)
        ]  # fmt: skip
        if role == "title" and not near:
            near = [k for k, c in enumerate(columns) if c and _describes_shortly(c)]
        near = [k for k in near if k not in {place for place, _ in taken}]
        if near and (column := columns[near[0]]):
            taken.append((near[0], Meaning(role, "item", True, f"its name says {role}", _separator(column))))  # type: ignore[arg-type]
    return Found(taken)


def _pictures(column: Column) -> bool:
    return all(re.match(r"(https?:)?//|.*\.(jpe?g|png|webp|gif)$", value.lower()) for value in column.values)


def _names_an_item(column: Column) -> bool:
    return column.words <= TITLE | ITEM | {"original", "short", "full", "display"}


def _describes_shortly(column: Column) -> bool:
    words = column.words & {"description", "desc"}
    return bool(words) and column.words <= words | ITEM and column.type == "text" and max(map(len, column.values)) <= SHORT


def _separator(column: Column) -> str:
    return " " if (type_in(column.name) or "").endswith("_seq") else separator_of(column.values)[0]


def _positions(columns: Open, table: str) -> Found:
    """Where an item was shown: of the interaction, not of the item."""
    taken = []
    for k, c in enumerate(columns):
        if c and table == "interactions" and c.is_number and c.words & POSITION and not c.words & (ID | DONE):
            few = c.type == "integer" and c.distinct <= 20
            taken.append((k, Meaning("category" if few else "dense", "context", True, "where the item was shown")))
    return Found(taken)


def _feature(column: Column, table: str, sides: set[Side]) -> Meaning:
    side: Side = "user" if column.words & (USER_SIDE | USER) else "item" if column.words & (ITEM_SIDE | ITEM) else "context"
    side = side if side in sides or table != "interactions" else "context"
    written = type_in(column.name)
    if column.type == "empty":
        return Meaning("ignore", side, True, "it is empty in the first rows")
    if column.words and column.words <= ID:
        return Meaning("ignore", side, True, "an id of the row")
    if lists_ids(column):
        return Meaning("ignore", side, False, "lists of ids in one cell: one row for each is needed to learn from them")
    if column.words & HISTORY and column.type in ("integer", "text", "list"):
        return Meaning("ignore", side, False, "earlier items: the history is made of the rows themselves")
    if written == "token" and column.type in ("integer", "text", "yes/no"):
        few = column.distinct <= max(20, len(column.values) // 2)
        return Meaning("category" if few else "ignore", side, few, "its header says a category" if few else "as many values as rows")
    if column.type == "list" and column.lists_numbers and not written and not column.words & TAGS:
        return Meaning("ignore", side, False, "its values are lists of numbers: several categories, if each number is one",
                        separator_of(column.values)[0])  # fmt: skip
    if column.type == "list" or column.words & TAGS:
        return Meaning("tags", side, column.type == "list", "its values are lists", _separator(column))
    return _plain_feature(column, side)


def _plain_feature(column: Column, side: Side) -> Meaning:
    if column.type == "number" or (column.type == "integer" and column.distinct > 20 and not column.words & ID):
        return Meaning("dense", side, column.type == "number", "its values are numbers")
    if column.type in ("integer", "yes/no"):
        few = column.distinct <= max(20, len(column.values) // 2)
        return Meaning("category" if few else "ignore", side, False, "it has few values" if few else "it has as many values as rows")
    if column.type == "text" and column.distinct <= max(0.5 * len(column.values), 5) and max(map(len, column.values)) <= 100:
        return Meaning("category", side, False, "it has few values")
    return Meaning("ignore", side, True, "it is free text, or differs on every row" if column.type == "text" else "dates are not a feature")
