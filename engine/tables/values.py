"""Columns in the head of a table: the words of their names, the type of their values, the unit of their times."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.sniff import DATE, NUMBER
from workers.prepare import TimeUnit

ID = {"id", "ids", "no", "nr", "key", "number", "hash", "code", "uuid", "guid", "index", "idx", "num", "raw", "orig", "parent"}
USER = {
    "user", "users", "customer", "visitor", "member", "account", "profile", "reviewer", "buyer", "client", "person", "cookie",
    "household", "subscriber", "player", "listener", "viewer", "reader", "uid", "consumer", "shopper", "student", "patient",
}  # fmt: skip
ITEM = {
    "item", "items", "movie", "film", "product", "sku", "asin", "article", "book", "isbn", "track", "song", "video", "news", "content",
    "goods", "offer", "listing", "business", "recipe", "game", "app", "ad", "venue", "anime", "artist", "show", "iid", "document", "doc",
    "course", "job", "photo", "post", "podcast", "episode", "hotel", "restaurant", "poi", "beer", "joke",
}  # fmt: skip
UNKNOWN = {"", "na", "inf", "-inf", "infinity", "n/a", "nan", "null", "none", "nil", "\\n", "-", "?"}
TRUTH = {"true", "false", "yes", "no", "t", "f", "y", "n"}
OTHER_DATE = re.compile(
    r"\s*\d{1,4}[/.]\d{1,2}[/.]\d{1,4}([ T].*)?|\s*\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}.*|\s*[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
)
UNITS: tuple[tuple[float, float, TimeUnit], ...] = ((1e8, 1e11, "s"), (1e11, 1e14, "ms"), (1e14, 1e17, "us"), (1e17, 1e20, "ns"))
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


class Column(NamedTuple):
    """A column of the head: the words of its name, the type of its values, and the values that are not missing."""

    name: str
    words: frozenset[str]
    type: str
    values: tuple[str, ...]
    rows: int

    @property
    def distinct(self) -> int:
        return len(set(self.values))

    def is_id_of(self, nouns: set[str]) -> bool:
        rest = self.words - nouns
        return bool(self.words & nouns) and rest <= ID


def words_of(name: str) -> frozenset[str]:
    """ "movieId", "movie_id" and "movieid" are movie and id."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)}
    split = {word: word.removesuffix("id") for word in words if word.endswith("id") and word.removesuffix("id") in USER | ITEM}
    return frozenset((words - set(split)) | set(split.values()) | ({"id"} if split else set()))


def column_of(name: str, values: Sequence[str | None]) -> Column:
    known = tuple(value for value in values if value is not None and value.strip().lower() not in UNKNOWN)
    return Column(name, words_of(name), type_of(known), known, len(values))


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
    if sum(DATE.fullmatch(v) is not None or OTHER_DATE.fullmatch(v) is not None for v in values) >= enough:
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


def time_of(values: Sequence[str]) -> tuple[TimeUnit | None, str | None]:
    """The unit of timestamps, or None; and a question, where some do not fit or the unit is unclear."""
    if not values:
        return None, "The column is empty in the first rows; choose the unit of its times."
    for unit, fitting in (("iso", DATE), (None, NUMBER)):
        odd = [value for value in values if not fitting.fullmatch(value)]
        if len(odd) <= 0.1 * len(values) or (unit and len(odd) <= 0.2 * len(values)):
            unit_of_most, ask = ("iso", None) if unit else _number_unit([value for value in values if fitting.fullmatch(value)])
            return unit_of_most, ask or (
                f"{values[0]!r} and most others can be read as times, but not {odd[0][:40]!r}: such rows are set aside." if odd else None
            )  # type: ignore[return-value]
    odd = [value for value in values if not NUMBER.fullmatch(value)]
    return (
        None,
        f"Times such as {odd[0][:40]!r} can be read in more than one way; write them as ISO 8601 (2024-01-31 18:00), or choose a unit.",
    )


def _number_unit(values: Sequence[str]) -> tuple[TimeUnit | None, str | None]:
    numbers = [abs(float(value)) for value in values]
    units = Counter(next((unit for low, high, unit in UNITS if low <= number < high), None) for number in numbers)
    known = {unit: count for unit, count in units.items() if unit}
    largest, smallest = max(numbers), min(numbers)
    if len(known) == 1 and units[None] <= 0.1 * len(numbers):
        few = (
            f"Values from {smallest:.0f} to {largest:.0f} are not all times since 1970; check that the unit is right."
            if units[None]
            else None
        )
        return next(iter(known)), few
    if len(known) > 1:
        names = " and ".join(sorted(UNIT_WORDS[unit] for unit in known))
        return (
            None,
            f"The column mixes {names} ({smallest:.0f} to {largest:.0f}); choose magnitude to decide value by value, or one unit.",
        )
    if all(re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])", value.strip()) for value in values):
        return None, f"Values such as {values[0]} look like dates written as one number; write them as 2024-01-31, or choose order."
    if largest < 1e8:
        return (
            None,
            f"Values from {smallest:.0f} to {largest:.0f} are too small for times since 1970; choose order when they only order the rows.",
        )
    return None, f"Some values are times since 1970 and some are not ({smallest:.0f} to {largest:.0f}); choose their unit."
