"""Columns in the head of a table: the words of their names, the type of their values, the unit of their times."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.when import NUMBER, dates_of
from workers.prepare.tables import Numbers, plain_numbers

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


class Column(NamedTuple):
    """A column of the head: the words of its name, the type of its values, and the values that are not missing.

    numbers: how the file writes them; in `values` they have a point.
    """

    name: str
    words: frozenset[str]
    type: str
    values: tuple[str, ...]
    rows: int
    numbers: Numbers = "plain"

    @property
    def distinct(self) -> int:
        return len(set(self.values))

    @property
    def lists_numbers(self) -> bool:
        """Whether its values are lists of numbers, which may be counts, or ids of categories."""
        return all(NUMBER.fullmatch(part) for value in self.values for part in value.split(separator_of(self.values)[0]) if part.strip())

    def is_id_of(self, nouns: set[str]) -> bool:
        rest = self.words - nouns
        return bool(self.words & nouns) and rest <= ID


def words_of(name: str) -> frozenset[str]:
    """ "movieId", "movie_id" and "movieid" are movie and id."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+", name)}
    split = {word: word.removesuffix("id") for word in words if word.endswith("id") and word.removesuffix("id") in USER | ITEM}
    return frozenset((words - set(split)) | set(split.values()) | ({"id"} if split else set()))


def known_values(values: Sequence[str | None]) -> tuple[str, ...]:
    """The values that do not say missing."""
    return tuple(value for value in values if value is not None and value.strip().lower() not in UNKNOWN)


def column_of(name: str, values: Sequence[str | None], numbers: Numbers = "plain") -> Column:
    known = known_values(values)
    if numbers == "plain":
        return Column(name, words_of(name), type_of(known), known, len(values))
    return Column(name, words_of(name), "number", with_points(known, numbers), len(values), numbers)


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
