"""Guess the meaning of columns from their names and first values, with a reason and whether the guess is certain."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.specs import Role, Side
from engine.tables.values import ID, ITEM, USER, Column, separator_of, words_of
from engine.tables.when import NUMBER, time_of

LABEL = {
    "rating", "ratings", "score", "stars", "star", "label", "target", "overall", "rate", "y", "preference", "feedback", "relevance",
    "grade",
}  # fmt: skip
DONE = {
    "click", "clicked", "clicks", "view", "viewed", "cart", "buy", "bought", "purchase", "purchased", "like", "liked", "share", "shared",
    "comment", "favorite", "favourite", "follow", "forward", "order", "ordered", "converted", "conversion", "watched", "completed",
    "install", "addtocart", "long",
}  # fmt: skip
ACTION = {"event", "action", "behavior", "behaviour", "interaction", "activity", "type", "kind"}
TIME = {"timestamp", "time", "date", "ts", "datetime", "created", "at", "unix", "epoch", "when", "utc", "ms", "millis", "seconds", "day"}
SPLIT_VALUES = {"train", "training", "valid", "validation", "val", "dev", "test", "testing"}
TITLE, IMAGE = {"title", "name", "headline", "caption"}, {"image", "img", "poster", "picture", "thumbnail", "cover", "photo", "imurl"}
GENRES, TAGS = {"genre", "genres"}, {"tags", "tag", "categories", "keywords", "topics", "labels", "features", "styles"}
USER_SIDE = {"age", "gender", "sex", "occupation", "country", "city", "zip", "region", "income", "membership", "job", "education", "state"}
ITEM_SIDE = {
    "price", "brand", "category", "year", "author", "publisher", "color", "colour", "size", "genre", "genres", "title", "tags",
    "language", "director", "studio", "released", "description", "categories", "manufacturer",
}  # fmt: skip


class Meaning(NamedTuple):
    """The guessed meaning of a column. `ambiguous`: a question about its time unit."""

    role: Role
    side: Side = "context"
    certain: bool = True
    why: str = ""
    separator: str = "|"
    unit: str | None = None
    ambiguous: str | None = None
    units: tuple[str, ...] = ()


def known_names(names: Sequence[str]) -> int:
    """The number of names that are usual for columns of interactions."""
    nouns = USER | ITEM | LABEL | TIME | TITLE | GENRES | TAGS | ID | DONE | ACTION
    return sum(bool(words := words_of(name)) and len(name) < 60 and words <= nouns | ITEM_SIDE | USER_SIDE for name in names)


def meanings(columns: Sequence[Column], table: str, header: bool) -> list[Meaning]:
    """The meaning of each column; a role for one column only goes to the best match."""
    chosen: list[Meaning | None] = [None] * len(columns)
    for take in (_ids, _times, _outcomes, _splits, _shown):
        for place, meaning in take([c if chosen[k] is None else None for k, c in enumerate(columns)], table):
            chosen[place] = meaning
    if not header and table == "interactions":
        _by_place(columns, chosen)
    sides: set[Side] = {"user", "item"} & {m.role for m in chosen if m}  # type: ignore[assignment]
    done = [m if m else _feature(c, table, sides) for c, m in zip(columns, chosen, strict=True)]
    return [
        m._replace(side="user" if table == "users" else "item") if table != "interactions" and m.role not in ("ignore",) else m
        for m in done
    ]


Open = Sequence[Column | None]
Taken = list[tuple[int, Meaning]]


def _ids(columns: Open, table: str) -> Taken:
    taken: Taken = []
    for role, nouns in (("user", USER), ("item", ITEM)):
        if table != "interactions" and table != f"{role}s":
            continue
        near = [k for k, c in enumerate(columns) if c and c.is_id_of(nouns)]
        if not near and table == f"{role}s":
            near = [k for k, c in enumerate(columns) if c and c.words and c.words <= ID]
        if near:
            best = max(near, key=lambda k: (bool((columns[k] or columns[0]).words & (ID | {"uid", "iid", "asin", "isbn", "sku"})), -k))  # type: ignore[union-attr]
            why = f"its name says {role}" + (f"; so do {len(near) - 1} others" if len(near) > 1 else "")
            taken.append((best, Meaning(role, role, len(near) == 1, why)))  # type: ignore[arg-type]
    return taken


def _times(columns: Open, table: str) -> Taken:
    if table != "interactions":
        return []
    named = [
        k
        for k, c in enumerate(columns)
        if c and c.words & TIME and not c.words & (USER_SIDE | ITEM_SIDE) and c.type in ("integer", "number", "date", "text", "empty")
    ]
    near = named or [k for k, c in enumerate(columns) if c and c.type == "date"]
    near = near or [k for k, c in enumerate(columns) if c and c.type == "integer" and time_of(c.values)[0] is not None and c.distinct > 1]
    if not near:
        return []
    units = {k: time_of(column.values) for k in near if (column := columns[k])}
    best = max(near, key=lambda k: (units[k][1] is None, units[k][0] is not None, -k))
    unit, ask, options = units[best]
    certain = len(near) == 1 and ask is None
    return [(best, Meaning("timestamp", "context", certain, "its name or its values say time", unit=unit, ambiguous=ask, units=options))]


def _outcomes(columns: Open, table: str) -> Taken:
    """Labels, classes and actions; other outcomes are ignored: as features they would leak the label."""
    if table != "interactions":
        return []
    rated = [
        k
        for k, c in enumerate(columns)
        if c and c.words & LABEL and not c.words & (USER | ITEM) and c.type in ("integer", "number", "yes/no")
    ]
    classed = [
        k for k, c in enumerate(columns) if c and c.words & LABEL and not c.words & (USER | ITEM) and c.type == "text" and c.distinct <= 20
    ]
    acted = [k for k, c in enumerate(columns) if c and c.words & ACTION and c.type == "text" and c.distinct <= 20]
    done = [k for k, c in enumerate(columns) if c and c.words & DONE and _is_binary(c)]
    kinds: list[tuple[Role, list[int], str]] = [
        ("label", rated[:1], "its name says rating or label, and its values are numbers"),
        ("label", done, "its name is that of an action, and its values are 0 and 1"),
        ("action", acted[:1], "its name says event, and it has few values"),
        ("class", classed[:1], "its name says label, and its values are words"),
    ]
    chosen = next(((role, places, why) for role, places, why in kinds if places), None)
    if chosen is None:
        return []
    role, places, why = chosen
    several = sum(bool(outcome) for outcome in (rated, classed, acted, done)) > 1 or len(rated) > 1
    taken: Taken = [(k, Meaning(role, "context", not several, why)) for k in places]
    others = set(rated + classed + acted + done) - set(places)
    return taken + [
        (k, Meaning("ignore", "context", False, "it may be another outcome, which would leak the label")) for k in sorted(others)
    ]


def _is_binary(column: Column) -> bool:
    return column.type == "yes/no" or (
        column.type in ("integer", "number") and {float(v) for v in column.values if NUMBER.fullmatch(v)} <= {0.0, 1.0}
    )


def _splits(columns: Open, table: str) -> Taken:
    near = [
        k for k, c in enumerate(columns) if c and c.values and c.distinct > 1 and all(v.strip().lower() in SPLIT_VALUES for v in c.values)
    ]
    return (
        [(near[0], Meaning("split", "context", True, "its values say train, valid and test"))] if near and table == "interactions" else []
    )


def _shown(columns: Open, table: str) -> Taken:
    """Titles, pictures and genres of items, and weights."""
    taken: Taken = []
    if table != "users":
        for role, nouns in (("genres", GENRES), ("image", IMAGE), ("title", TITLE)):
            near = [
                k
                for k, c in enumerate(columns)
                if c and c.words & nouns and not c.words & USER and c.type in ("text", "list", "integer", "number")
            ]
            if role == "image":
                near = [
                    k
                    for k in near
                    if (c := columns[k]) and all(re.match(r"(https?:)?//|.*\.(jpe?g|png|webp|gif)$", v.lower()) for v in c.values)
                ]
            if role == "title":
                near = [k for k in near if (c := columns[k]) and c.words <= TITLE | ITEM | {"original", "short", "full", "display"}]
            if near and (column := columns[near[0]]):
                taken.append((near[0], Meaning(role, "item", True, f"its name says {role}", separator_of(column.values)[0])))  # type: ignore[arg-type]
    if table == "interactions":
        weights = [
            k
            for k, c in enumerate(columns)
            if c and c.words <= {"weight", "weights", "sample", "importance", "row"} and c.words & {"weight", "weights", "importance"}
        ]
        for k in weights[:1]:
            if k not in {p for p, _ in taken} and (column := columns[k]):
                counts = _is_count(column)
                why = "its name says weight" + (", but the largest is over 100 times the median: a count, such as plays?" if counts else "")
                taken.append((k, Meaning("weight", "context", not counts, why)))
    return taken


def _is_count(column: Column) -> bool:
    """Whether numbers are spread as plays and purchases are, and weights are not: the largest is over 100 times the median."""
    numbers = sorted(float(value) for value in column.values if NUMBER.fullmatch(value))
    return bool(numbers) and numbers[-1] > 100 * numbers[len(numbers) // 2] > 0


def _by_place(columns: Sequence[Column], chosen: list[Meaning | None]) -> None:
    """Without a header: a small scale is the label, then the first two columns with many values are the user and the item."""
    open_ = [k for k, meaning in enumerate(chosen) if meaning is None and columns[k].values]
    scale = [k for k in open_ if columns[k].type in ("integer", "number") and columns[k].distinct <= 21 and _small(columns[k]) and k > 0]
    if scale and not any(m and m.role in ("label", "class", "action") for m in chosen):
        chosen[scale[-1]] = Meaning("label", "context", False, "it has few small numbers; there is no header")
    for role in ("user", "item"):
        ids = [k for k in open_ if chosen[k] is None and columns[k].type in ("integer", "text")]
        if ids:
            chosen[ids[0]] = Meaning(role, role, False, "by its position: there is no header")  # type: ignore[arg-type]


def _small(column: Column) -> bool:
    return all(-10 <= float(value) <= 100 for value in column.values if NUMBER.fullmatch(value))


def _feature(column: Column, table: str, sides: set[Side]) -> Meaning:
    side: Side = "user" if column.words & (USER_SIDE | USER) else "item" if column.words & (ITEM_SIDE | ITEM) else "context"
    side = side if side in sides or table != "interactions" else "context"
    if column.type == "empty":
        return Meaning("ignore", side, True, "it is empty in the first rows")
    if column.type == "list" and column.lists_numbers and not column.words & TAGS:
        return Meaning("ignore", side, False, "its values are lists of numbers: several categories, if each number is one",
                       separator_of(column.values)[0])  # fmt: skip
    if column.type == "list" or column.words & TAGS:
        return Meaning("tags", side, column.type == "list", "its values are lists", separator_of(column.values)[0])
    if column.type == "number" or (column.type == "integer" and column.distinct > 20 and not column.words & ID):
        return Meaning("dense", side, column.type == "number", "its values are numbers")
    if column.type in ("integer", "yes/no"):
        few = column.distinct <= max(20, len(column.values) // 2)
        return Meaning("category" if few else "ignore", side, False, "it has few values" if few else "it has as many values as rows")
    if column.type == "text" and column.distinct <= max(0.5 * len(column.values), 5) and max(map(len, column.values)) <= 100:
        return Meaning("category", side, False, "it has few values")
    return Meaning("ignore", side, True, "it is free text, or differs on every row" if column.type == "text" else "dates are not a feature")
