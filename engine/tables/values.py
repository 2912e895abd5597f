"""Columns in the head of a table: the words of their names, the type of their values, what is missing or counts."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.names import ID, type_in, words_of
from engine.tables.when import NUMBER, dates_of
from workers.prepare.tables import Numbers, plain_numbers

UNKNOWN = {"", "na", "inf", "-inf", "infinity", "n/a", "nan", "null", "none", "nil", "\\n", "-", "?"}
NOBODY = UNKNOWN | {"-1", "unknown", "anonymous", "undefined", "not set", "(not set)", "guest", "<na>"}  # as the id of somebody
TRUTH = {"true", "false", "yes", "no", "t", "f", "y", "n"}
LONGEST_ID = 100


class Column(NamedTuple):
    """A column of the head: the words of its name, the type of its values, and the values that are not missing.

    every: the values of all rows, blank where there is none. numbers: how the file writes them; in `values` they have a point.
    nameless: the file gives it no name.
    """

    name: str
    words: frozenset[str]
    type: str
    values: tuple[str, ...]
    every: tuple[str, ...]
    numbers: Numbers = "plain"
    nameless: bool = False

    @property
    def rows(self) -> int:
        return len(self.every)

    @property
    def distinct(self) -> int:
        return len(set(self.values))

    @property
    def is_number(self) -> bool:
        return self.type in ("integer", "number")

    @property
    def is_binary(self) -> bool:
        return bool(self.values) and (self.type == "yes/no" or (self.is_number and set(self.floats) <= {0.0, 1.0}))

    @property
    def floats(self) -> list[float]:
        return [float(value) for value in self.values if NUMBER.fullmatch(value)]

    @property
    def nobody(self) -> list[str]:
        """The values of an id that stand for nobody, such as NA and -1, of every row that has one."""
        return [value for value in self.every if value.strip().lower() in NOBODY]

    @property
    def counts_up(self) -> bool:
        """Whether values are 0, 1, 2 … or 1, 2, 3 …: the number of the row."""
        start = self.values[0] if self.values else ""
        return start in ("0", "1") and all(value == str(int(start) + place) for place, value in enumerate(self.every))

    @property
    def lists_numbers(self) -> bool:
        """Whether its values are lists of numbers, which may be counts, or ids of categories."""
        return all(NUMBER.fullmatch(part) for value in self.values for part in value.split(separator_of(self.values)[0]) if part.strip())

    def is_id_of(self, nouns: set[str]) -> bool:
        rest = self.words - nouns
        return bool(self.words & nouns) and rest <= ID and sum(len(value) > LONGEST_ID for value in self.values) <= 0.5 * len(self.values)


def one_for_each(keys: Column, other: Column, least: int = 1) -> bool | None:
    """Whether almost each key that occurs again has the same value again; None where fewer than `least` keys do."""
    seen: dict[str, set[str]] = {}
    for one, value in zip(keys.every, other.every, strict=True):
        seen.setdefault(one, set()).add(value)
    again = [one for one, count in Counter(keys.every).items() if count > 1]
    return sum(len(seen[one]) == 1 for one in again) >= 0.9 * len(again) if len(again) >= least else None


def known_values(values: Sequence[str | None]) -> tuple[str, ...]:
    """The values that do not say missing."""
    return tuple(value for value in values if value is not None and value.strip().lower() not in UNKNOWN)


def column_of(name: str, values: Sequence[str | None], numbers: Numbers = "plain", header: str | None = None) -> Column:
    """A column of the head. header: its name in the file, before blank names were changed."""
    every, known = tuple(value or "" for value in values), known_values(values)
    nameless = header is not None and (not header.strip() or re.fullmatch(r"Unnamed: \d+", header) is not None)
    if known and (type_in(name) or "").endswith("_seq"):
        return Column(name, words_of(name), "list", known, every, nameless=nameless)
    if numbers == "plain":
        return Column(name, words_of(name), type_of(known), known, every, nameless=nameless)
    return Column(name, words_of(name), "number", with_points(known, numbers), every, numbers, nameless)


def with_points(values: Sequence[str], numbers: Numbers) -> tuple[str, ...]:
    """Numbers with a point, as they will be read."""
    import pyarrow as pa

    return tuple(plain_numbers(pa.array(values, pa.string()), numbers).to_pylist())


def type_of(values: Sequence[str]) -> str:
    """The type of almost all values: integer, number, date, yes/no, list, text, or empty when there are none."""
    if not values:
        return "empty"
    enough = 0.9 * len(values)
    if sum(re.fullmatch(r"\s*[+-]?\d+\s*", v) is not None for v in values) >= enough:
        return "integer"
    if sum(NUMBER.fullmatch(v) is not None for v in values) >= enough:
        return "number"
    if all(v.strip().lower() in TRUTH for v in values):
        return "yes/no"
    if dates_of(values) is not None:
        return "date"
    return "list" if separator_of(values)[1] else "text"


def separator_of(values: Sequence[str]) -> tuple[str, bool]:
    """The separator of lists of short words, and whether the values are lists at all."""
    for mark in ("|", ";", ", ", ","):
        several = [value for value in values if mark in value.strip(mark)]
        parts = [part.strip() for value in several for part in value.split(mark)]
        if len(several) >= max(0.2 * len(values), 1) and parts and len(set(parts)) < 0.7 * len(parts) + 3 and max(map(len, parts)) <= 40:
            return mark.strip(), mark == "|" or len(set(parts)) <= 0.5 * len(parts)
    return "|", False
