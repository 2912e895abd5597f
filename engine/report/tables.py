"""A comparison as plain tables of text, whatever they are written down in afterwards."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from workers.artifacts import metric

if TYPE_CHECKING:
    import pandas as pd

    from engine.compare import Comparison

ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1"}
NOTHING = "–"
LONG = [
    "kind", "name", "unit", "contender", "title", "run", "value", "low", "high", "std", "difference", "best",
]  # fmt: skip  # columns of `long`


class Cell(NamedTuple):
    """Text as it is; whoever writes it down escapes it. `strong`: the best of its row."""

    text: str
    strong: bool = False


class Table(NamedTuple):
    title: str
    head: list[str]
    rows: list[list[Cell]]


def one_line(text: object) -> str:
    """Foreign text as one line without control characters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in str(text)).split())


def tables(comparison: "Comparison") -> list[Table]:
    """Who is compared, the metrics with half of their 95 % intervals, what they cost, and the settings in which they differ."""
    found = [_contenders(comparison), _metrics(comparison), _costs(comparison), _settings(comparison)]
    return [table for table in found if table.rows]


def _contenders(comparison: "Comparison") -> Table:
    rows = [[Cell(c.letter), Cell(one_line(c.name)), Cell(c.model), Cell(", ".join(c.run_ids) or NOTHING)] for c in comparison.contenders]
    return Table("Contenders", ["", "name", "model", "runs"], rows)


def _metrics(comparison: "Comparison") -> Table:
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if row["value"] == row["value"]}
    letters = [c.letter for c in comparison.contenders]
    rows = []
    for key in dict.fromkeys(comparison.table["metric"]):  # in the order of the protocol
        found = metric(key)
        of_row = [cells.get((key, letter)) for letter in letters]
        if any(of_row):
            rows.append([Cell(f"{found.label} {ARROWS[found.better]}"), *(_metric(cell) for cell in of_row)])
    return Table("Metrics on test", ["metric", *letters], rows)


def _metric(row: dict[str, Any] | None) -> Cell:
    if row is None:
        return Cell(NOTHING)
    known = row["low"] == row["low"] and row["high"] == row["high"]
    half = f" ± {number((row['high'] - row['low']) / 2)}" if known else ""
    return Cell(number(row["value"]) + half, bool(row["best"]))


def _costs(comparison: "Comparison") -> Table:
    letters = [c.letter for c in comparison.contenders if c.letter in comparison.costs]
    rows = []
    for row in comparison.costs.to_dict("records"):
        name = f"{row['fact']} ({row['unit']})" if row["unit"] else str(row["fact"])
        rows.append([Cell(name), *(Cell(quantity(row[letter])) for letter in letters)])
    return Table("Cost", ["cost", *letters], rows)


def _settings(comparison: "Comparison") -> Table:
    frame = comparison.differences
    letters = [c.letter for c in comparison.contenders if c.letter in frame]
    rows = [[Cell(str(row["setting"])), *(_setting(row[letter]) for letter in letters)] for row in frame.to_dict("records")]
    return Table("Settings that differ", ["setting", *letters], rows)


def _setting(value: Any) -> Cell:
    return Cell(NOTHING if value is None or value != value else one_line(value))


def number(value: float) -> str:
    """A metric: four places; those far from 1 as three significant digits."""
    return NOTHING if not math.isfinite(value) else f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def quantity(value: Any) -> str:
    """A cost: whole numbers with separators, others as four significant digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.4g}"


def long(comparison: "Comparison") -> "pd.DataFrame":
    """Everything in one long table, a row a number or a setting, at full precision: the columns of LONG.

    kind is metric, cost or setting. low and high are the ends of the 95 % interval, std the deviation between seeds, difference that to
    the contender that the comparison is against; they are empty where there is none.
    """
    import pandas as pd

    named = {c.letter: c for c in comparison.contenders}
    rows: list[Sequence[Any]] = []

    def add(kind: str, name: str, unit: str, letter: str, value: Any, *more: Any) -> None:
        one = named[letter]
        rows.append((kind, name, unit, letter, one_line(one.name), " ".join(one.run_ids), value, *(more or (None,) * 5)))

    for row in comparison.table.to_dict("records"):
        if row["value"] == row["value"]:
            judged = (row["low"], row["high"], row.get("std"), row["delta"], bool(row["best"]))
            add("metric", row["metric"], "", row["contender"], row["value"], *judged)
    for frame, kind, column in ((comparison.costs, "cost", "fact"), (comparison.settings, "setting", "setting")):
        for row in [] if frame is None else frame.to_dict("records"):
            for letter in named:
                if letter in row and row[letter] is not None and row[letter] == row[letter]:
                    add(kind, row[column], str(row.get("unit", "")), letter, row[letter])
    return pd.DataFrame(rows, columns=LONG)
