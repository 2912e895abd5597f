"""A comparison as plain tables of text, whatever they are written down in afterwards."""

import math
from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from engine.compare import Comparison, Contender, plain, sentences, verdict_of
from workers.artifacts import metric

if TYPE_CHECKING:
    import pandas as pd

ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1"}
NOTHING = "–"
LONG = [
    "kind", "name", "unit", "contender", "title", "run", "value", "low", "high", "std", "difference", "best",
]  # fmt: skip  # columns of `long`


LongRow = tuple[object, ...]  # a value for each column of LONG
_NOT_JUDGED = (None,) * 5


class Cell(NamedTuple):
    """Text as it is; whoever writes it down escapes it. `strong`: the winner of its row."""

    text: str
    strong: bool = False


class Table(NamedTuple):
    title: str
    head: list[str]
    rows: list[list[Cell]]


def one_line(text: object) -> str:
    """Foreign text as one line without control characters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in str(text)).split())


def tables(comparison: Comparison) -> list[Table]:
    """Who is compared, the metrics with half of their 95 % intervals, what they cost, and the settings in which they differ."""
    found = [_contenders(comparison), _metrics(comparison), _costs(comparison), _settings(comparison)]
    return [table for table in found if table.rows]


def _contenders(comparison: Comparison) -> Table:
    rows = [[Cell(c.letter), Cell(one_line(c.name)), Cell(c.model), Cell(", ".join(c.run_ids) or NOTHING)] for c in comparison.contenders]
    return Table("Contenders", ["", "name", "model", "runs"], rows)


def _metrics(comparison: Comparison) -> Table:
    verdict = verdict_of(comparison)
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if row["value"] == row["value"]}
    letters = [c.letter for c in comparison.contenders]
    rows = []
    for key in dict.fromkeys(comparison.table["metric"]):  # in the order of the protocol
        found = metric(key)
        of_row = [cells.get((key, letter)) for letter in letters]
        if any(of_row):
            best = [letter == verdict.winner(key) for letter in letters]
            shown = [_metric(cell, is_best) for cell, is_best in zip(of_row, best, strict=True)]
            rows.append([Cell(f"{found.label} {ARROWS[found.better]}"), *shown])
    return Table("Metrics on test", ["metric", *letters], rows)


def _metric(row: Mapping[Hashable, float] | None, best: bool) -> Cell:
    if row is None:
        return Cell(NOTHING)
    known = row["low"] == row["low"] and row["high"] == row["high"]
    half = f" ± {number((row['high'] - row['low']) / 2)}" if known else ""
    return Cell(number(row["value"]) + half, best)


def _costs(comparison: Comparison) -> Table:
    letters = [c.letter for c in comparison.contenders if c.letter in comparison.costs]
    rows = []
    for row in comparison.costs.to_dict("records"):
        name = f"{row['fact']} ({row['unit']})" if row["unit"] else str(row["fact"])
        rows.append([Cell(name), *(Cell(quantity(row[letter])) for letter in letters)])
    return Table("Cost", ["cost", *letters], rows)


def _settings(comparison: Comparison) -> Table:
    frame = comparison.differences
    letters = [c.letter for c in comparison.contenders if c.letter in frame]
    rows = [[Cell(str(row["setting"])), *(_setting(row[letter]) for letter in letters)] for row in frame.to_dict("records")]
    return Table("Settings that differ", ["setting", *letters], rows)


def _setting(value: object) -> Cell:
    return Cell(NOTHING if value is None or value != value else one_line(value))


def number(value: float) -> str:
    """A metric: four places; those far from 1 as three significant digits."""
    return NOTHING if not math.isfinite(value) else f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def quantity(value: float | None) -> str:
    """A cost: whole numbers with separators, others as four significant digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.4g}"


def long(comparison: Comparison) -> "pd.DataFrame":
    """Everything in one long table, a row per number, setting or sentence, at full precision: the columns of LONG.

    kind is metric, cost, setting or verdict. low and high are the ends of the 95 % interval, std the deviation between seeds, difference
    that to the contender that the comparison is against; they are empty where there is none. A verdict's name is its metric, its contender
    the winner (empty where nobody wins) and its value the sentence.
    """
    import pandas as pd

    rows = [*_long_metrics(comparison), *_long_facts(comparison), *_long_verdicts(comparison)]
    return pd.DataFrame(rows, columns=LONG)


def _long_metrics(comparison: Comparison) -> Iterator[LongRow]:
    verdict, named = verdict_of(comparison), {c.letter: c for c in comparison.contenders}
    for row in comparison.table.to_dict("records"):
        if row["value"] == row["value"]:
            who = named[row["contender"]]
            judged = (row["low"], row["high"], row.get("std"), row.get("delta"), verdict.winner(row["metric"]) == who.letter)
            yield "metric", row["metric"], "", *_who(who), row["value"], *judged


def _long_facts(comparison: Comparison) -> Iterator[LongRow]:
    for frame, kind, column in ((comparison.costs, "cost", "fact"), (comparison.settings, "setting", "setting")):
        for row in [] if frame is None else frame.to_dict("records"):
            for one in comparison.contenders:
                if one.letter in row and row[one.letter] is not None and row[one.letter] == row[one.letter]:
                    yield kind, row[column], str(row.get("unit", "")), *_who(one), row[one.letter], *_NOT_JUDGED


def _long_verdicts(comparison: Comparison) -> Iterator[LongRow]:
    named = {c.letter: c for c in comparison.contenders}
    for (_, found), sentence in zip(verdict_of(comparison).of_stages(), sentences(comparison), strict=True):
        who = _who(named[found.winner]) if found.winner else ("", "", "")
        yield "verdict", found.metric, "", *who, plain(sentence), *_NOT_JUDGED


def _who(one: Contender) -> tuple[str, str, str]:
    """Letter, title and runs."""
    return one.letter, one_line(one.name), " ".join(one.run_ids)
