"""Detect cells that hold lists: of items, of item-label pairs, and of the sequences that RecBole names so in its headers."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from engine.tables.meaning import Meaning
from engine.tables.names import ITEM
from engine.tables.values import Column
from workers.prepare.tables import PAIR

SEQUENCE = re.compile(r":(token|float)_seq$")
ID = re.compile(r"[A-Za-z_]{0,12}[-_:]?\d[\w-]*|[0-9a-fA-F-]{16,}")
PREFIXED = re.compile(r"[A-Za-z]+[-_:]?\d{2,}")
BRACKETS, PAIRED = re.compile(r"\s*[\[({].*[\])}]\s*", re.S), re.compile(PAIR)
OF_ITEMS = ITEM | {"sequence", "history", "basket", "session", "impressions", "clicked", "viewed", "purchases", "playlist", "visits"}
SEPARATORS = (" ", ",", "|", ";")
ENOUGH, MOST_LABELS = 0.95, 10


class Lists(NamedTuple):
    """What the lists of a column hold, and what separates their values."""

    kind: Literal["items", "pairs"]
    separator: str


def lists_of(column: Column) -> Lists | None:
    """Lists of item-label pairs, or of values that look like ids; None for other columns."""
    if column.type not in ("text", "list") or SEQUENCE.search(column.name):
        return None
    bracketed = bool(column.values) and all(BRACKETS.fullmatch(value) for value in column.values)
    commas = bracketed and any("," in value for value in column.values)
    for separator in (",",) if commas else SEPARATORS:
        cells = [_parts(value, separator) for value in column.values]
        parts = [part for cell in cells for part in cell]
        if sum(len(cell) > 1 for cell in cells) < max(1, 0.2 * len(cells)):
            continue
        if _are_pairs(parts):
            return Lists("pairs", separator)
        vary = len({len(cell) for cell in cells}) > 1
        if bracketed or (vary and _fits(parts, ID.fullmatch)) or _fits(parts, PREFIXED.fullmatch):
            return Lists("items", separator)
    return None


def _parts(value: str, separator: str) -> list[str]:
    inner = re.sub(r"^\s*[\[({]\s*|\s*[\])}]\s*$", "", value).strip()
    parts = inner.split() if separator == " " else inner.split(separator)
    return [part for one in parts if (part := one.strip(" \t\"'"))]


def _fits(parts: Sequence[str], fit: Callable[[str], object]) -> bool:
    return sum(bool(fit(part)) for part in parts) >= ENOUGH * len(parts)


def _are_pairs(parts: Sequence[str]) -> bool:
    found = [match for part in parts if (match := PAIRED.fullmatch(part))]
    labels = {match["label"] for match in found}
    return len(found) >= ENOUGH * len(parts) and len(labels) <= MOST_LABELS and len(parts) >= 2 * len(labels)


def with_lists(columns: Sequence[Column], meant: Sequence[Meaning], found: Sequence[Lists | None]) -> list[Meaning]:
    """The meanings, where a column of lists may be the item, and sequences are several categories."""
    done = [_with_separator(column, meaning, lists) for column, meaning, lists in zip(columns, meant, found, strict=True)]
    item = next((k for k, meaning in enumerate(done) if meaning.role == "item"), None)
    if item is not None and (done[item].certain or found[item]):
        return done
    pairs = [k for k, lists in enumerate(found) if lists and lists.kind == "pairs"]
    named = [k for k, lists in enumerate(found) if lists and columns[k].words & OF_ITEMS]
    chosen = next(iter([*pairs, *(named if item is None else ())]), None)
    if chosen is None:
        return done
    if pairs:  # labels are in the pairs
        done = [m._replace(role="ignore") if m.role in ("label", "class", "action") and not m.certain else m for m in done]
        if any(m.role in ("label", "class", "action") for m in done):
            return done
    if item is not None:
        done[item] = done[item]._replace(role="ignore", why="another column lists the items")
        _user_instead(columns, done, item)
    why = f"it holds lists of {'item-label' if pairs else 'items'}: one row each"
    done[chosen] = done[chosen]._replace(role="item", side="item", certain=bool(pairs), why=why)
    return done


def _with_separator(column: Column, meaning: Meaning, lists: Lists | None) -> Meaning:
    sequence = SEQUENCE.search(column.name)
    if sequence and meaning.role in ("ignore", "category", "dense", "tags"):
        return meaning._replace(role="tags", separator=" ", certain=sequence[1] == "token", why="its name says a sequence of values")
    if lists and lists.kind == "items" and meaning.role == "category":
        meaning = meaning._replace(role="ignore", why="it holds lists of items")
    if sequence or lists:
        return meaning._replace(separator=" " if sequence else lists.separator if lists else "|")
    return meaning


def _user_instead(columns: Sequence[Column], done: list[Meaning], freed: int) -> None:
    """The column that was taken for the item is the user where the user was but a number of the row."""
    user = next((k for k, meaning in enumerate(done) if meaning.role == "user"), None)
    if user is None or (not done[user].certain and columns[user].type == "integer" and columns[user].distinct == columns[user].rows):
        if user is not None:
            done[user] = done[user]._replace(role="ignore", why="it differs on every row")
        done[freed] = Meaning("user", "user", False, "by its position: there is no header")


def flattened(name: str, objects: Sequence[Mapping[str, Any]]) -> str:
    """The line that turns objects within a row into rows or into columns, for names that need no quotes."""
    if not name.isidentifier():
        return ""
    if any(isinstance(row.get(name), list) for row in objects):
        return f" One row for each: jq -c '. as $row | .{name}[] | $row + . | del(.{name})' FILE > rows.jsonl"
    return f" As columns: jq -c '. + .{name} | del(.{name})' FILE > rows.jsonl"
