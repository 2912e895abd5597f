"""Detect values that may mean missing: words such as NA, and numbers such as -1 that no other value is like."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.when import NUMBER
from workers.prepare.tables import MISSING_WORDS

BELOW, ABOVE = {-1.0, -9.0, -99.0, -999.0, -9999.0}, {99.0, 999.0, 9999.0, 99999.0, 999999.0}
FAR, OFTEN, FEW = 5, 3, 5  # times the next value; times as frequent as the next; rows


class Absent(NamedTuple):
    """A value that may mean missing, and how many of the first rows have it."""

    value: str
    rows: int


def absent_values(values: Sequence[str | None], is_id: bool = False) -> tuple[Absent, ...]:
    """Values that may mean missing, the most frequent first.

    Args:
        is_id: whether they name users or items, where a 0 that is by far the most frequent may be nobody.
    """
    counts = Counter(value.strip() for value in values if value is not None and value.strip())
    words = {value for value in counts if value.lower() in MISSING_WORDS}
    numbers = {value: float(value) for value in counts if value not in words and NUMBER.fullmatch(value)}
    odd: set[str] = set()
    if numbers and sum(counts[value] for value in numbers) >= 0.9 * sum(n for value, n in counts.items() if value not in words):
        odd = _unlike(numbers, counts)
        if is_id:
            odd |= _nobody(numbers, counts)
    found = [Absent(value, counts[value]) for value in words | odd]
    return tuple(sorted(found, key=lambda one: (-one.rows, one.value)))


def _unlike(numbers: dict[str, float], counts: Counter[str]) -> set[str]:
    """A negative number where no other is, and nines far above all others that several rows have."""
    others = [number for number in numbers.values() if number not in BELOW]
    low = {value for value, number in numbers.items() if number in BELOW} if others and min(others) >= 0 else set()
    high = {
        value
        for value, number in numbers.items()
        if number in ABOVE and counts[value] > 1 and (rest := [n for n in others if n != number]) and max(rest) * FAR <= number
    }
    return low | high


def _nobody(numbers: dict[str, float], counts: Counter[str]) -> set[str]:
    zeros = {value for value, number in numbers.items() if number == 0}
    most = max((n for value, n in counts.items() if value not in zeros), default=0)
    return {value for value in zeros if counts[value] >= max(OFTEN * most, FEW)}


def question(name: str, absent: Sequence[Absent], rows: int, complete: Sequence[str]) -> str | None:
    """What a person has to decide where an id may be no id; None when there is none.

    Args:
        rows: that were looked at.
        complete: other columns that could name users, and have a value in every row.
    """
    if not absent:
        return None
    said = " and ".join(f"{one.value!r} in {one.rows:,}" for one in absent[:3])
    other = f" {complete[0]} has a value in every row: it may be the better id." if complete else ""
    return f"{name} is {said} of the first {rows:,} rows. If that means missing, these rows are set aside; if not, it is one id.{other}"
