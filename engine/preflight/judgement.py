"""The records of a pre-flight: one item for each thing that a run takes."""

from typing import Literal

from workers.specs import Spec

Level = Literal["fine", "warning", "blocked"]
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Item(Spec):
    """One thing that a run takes, with the number and what to change."""

    name: str
    value: str
    short: str = ""  # the number alone, for a table
    level: Level = "fine"
    advice: str = ""


class Table(Spec):
    """One table of a model: rows times width numbers."""

    name: str
    rows: int
    width: int
    bytes: int


class Preflight(Spec):
    """The judgement of one run."""

    title: str
    items: tuple[Item, ...]
    tables: tuple[Table, ...] = ()  # the largest first

    @property
    def level(self) -> Level:
        """The worst level of its items."""
        levels: set[Level] = {item.level for item in self.items}
        return "blocked" if "blocked" in levels else "warning" if "warning" in levels else "fine"

    @property
    def why_blocked(self) -> str | None:
        """A sentence for each item that blocks; None where nothing does."""
        blocked = [item for item in self.items if item.level == "blocked"]
        return " ".join(f"{item.name}: {item.value}. {item.advice}".strip() for item in blocked) or None


def size(amount: float) -> str:
    """Bytes in the unit that suits, such as 512 MB."""
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if amount >= 100 or unit == "B" else f"{amount:.3g} {unit}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits, such as 40 min."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{seconds:.0f} s"


def span(low: float, high: float) -> str:
    """Two durations, such as 4.5 to 9 min, or 40 s to 3 min."""
    first, last = duration(low), duration(high)
    if first == last:
        return first
    return f"{first.split()[0] if first.split()[1] == last.split()[1] else first} to {last}"


def _two_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
