"""A comparison as plain tables of text, whatever they are written down in afterwards."""

import math
from collections.abc import Hashable, Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from engine.compare import (
    BEST,
    FAMILIES,
    Comparison,
    Contender,
    budget_words,
    look,
    mark_of,
    p_value,
    pair_answer,
    pair_difference,
    pair_needed,
    pairs_basis,
    plain,
    sentences,
    signed,
    verdict_of,
)
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
    """Text as it is; whoever writes it down escapes it. `strong`: the winner of its row.

    Where there is room: `mark` is a sign in front of the text, in a `color` of the palette if it has one, and `below` a line under it.
    """

    text: str
    strong: bool = False
    mark: str = ""
    color: str = ""
    below: str = ""


class Table(NamedTuple):
    """Rows under a head. `words`: cells hold text, not numbers; `groups`: what each row belongs to; `note`: what is to be known of it."""

    title: str
    head: list[str]
    rows: list[list[Cell]]
    words: bool = False
    groups: tuple[str, ...] = ()
    note: str = ""


def as_frame(table: Table) -> "pd.DataFrame":
    """A table as a frame of text, its first column as the index; marks, such as the stars of leaders, are in front of the text."""
    import pandas as pd

    rows = [[" ".join(filter(None, [cell.mark, cell.text])) for cell in row] for row in table.rows]
    frame = pd.DataFrame([row[1:] for row in rows], index=[row[0] for row in rows], columns=table.head[1:])
    return frame.rename_axis(columns=table.head[0] or None)


def one_line(text: object) -> str:
    """Foreign text as one line without control characters."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in str(text)).split())


def tables(comparison: Comparison) -> list[Table]:
    """Who is compared, the metrics with half of their 95 % intervals, pairs by each stage's metric, costs, and settings that differ."""
    every = [
        contenders_table(comparison),
        metrics_table(comparison),
        *pair_tables(comparison),
        costs_table(comparison),
        settings_table(comparison),
    ]
    return [table for table in every if table.rows]


def contenders_table(comparison: Comparison) -> Table:
    """Letter, name, kind of model, budget of its search and run ids of each contender."""
    rows = []
    for one in comparison.contenders:
        drawn = look(one.color_index, baseline=one.run_id is None)
        first = Cell(one.letter, mark=drawn.glyph, color=drawn.color)
        budget = Cell(budget_words(one.budget) or NOTHING)
        rows.append([first, Cell(one_line(one.name)), Cell(one.model), budget, Cell(", ".join(one.run_ids) or NOTHING)])
    return Table("Contenders", ["", "name", "model", "search", "runs"], rows, words=True)


def metrics_table(comparison: Comparison) -> Table:
    """Every metric that somebody has: values with half of their 95 % intervals, the stars of leaders, differences, deviations of seeds."""
    verdict = verdict_of(comparison)
    cells = {(row["metric"], row["contender"]): row for row in comparison.table.to_dict("records") if row["value"] == row["value"]}
    letters = [c.letter for c in comparison.contenders]
    rows, groups = [], []
    for key in dict.fromkeys(comparison.table["metric"]):  # in the order of the protocol
        found = metric(key)
        of_row = [cells.get((key, letter)) for letter in letters]
        if any(of_row):
            judged = verdict.metrics.get(key)
            shown = [_metric(cell, mark_of(judged, letter)) for cell, letter in zip(of_row, letters, strict=True)]
            rows.append([Cell(f"{found.label} {ARROWS[found.better]}"), *shown])
            groups.append(FAMILIES.get(found.family, found.family))
    return Table("Metrics on test", ["metric", *letters], rows, groups=tuple(groups))


def _metric(row: Mapping[Hashable, float] | None, mark: str) -> Cell:
    if row is None:
        return Cell(NOTHING)
    known = row["low"] == row["low"] and row["high"] == row["high"]
    half = f" ± {number((row['high'] - row['low']) / 2)}" if known else ""
    delta, deviation = row.get("delta", math.nan), row.get("std", math.nan)
    below = [signed(delta, 4)] if delta == delta else []
    below += [f"σ {number(deviation)}"] if deviation == deviation else []
    return Cell(number(row["value"]) + half, strong=mark == BEST, mark=mark, below=" · ".join(below))


def pair_tables(comparison: Comparison) -> list[Table]:
    """A table for each stage whose metric was tested."""
    short = {c.letter: c.letter if c.run_id else c.name for c in comparison.contenders}
    made = []
    for key in dict.fromkeys(stage.metric for stage in verdict_of(comparison).stages):
        tested = (comparison.tests or {}).get(key, [])
        rows = [
            [
                Cell(f"{short[pair.a]} − {short[pair.b]}"),
                *map(
                    Cell,
                    (pair_difference(pair), p_value(pair.p_holm), _size(pair.smallest), pair_needed(pair), pair_answer(pair, comparison)),
                ),
            ]
            for pair in tested
        ]
        head = ["pair", "difference", "p", "visible from", "users needed", "answer"]
        made.append(Table(f"Pairs by {metric(key).label}", head, rows, note=pairs_basis(tested, comparison) if tested else ""))
    return made


def _size(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2g}"


def costs_table(comparison: Comparison) -> Table:
    """What each run took."""
    letters = [c.letter for c in comparison.contenders if c.letter in comparison.costs]
    rows = []
    for row in comparison.costs.to_dict("records"):
        name = f"{row['fact']} ({row['unit']})" if row["unit"] else str(row["fact"])
        rows.append([Cell(name), *(Cell(quantity(row[letter])) for letter in letters)])
    return Table("Cost", ["cost", *letters], rows)


def settings_table(comparison: Comparison) -> Table:
    """The settings in which runs differ."""
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

    kind is metric, cost, setting, verdict, alarm or pair. low and high are the ends of the 95 % interval, std the deviation between seeds,
    difference that to the contender that the comparison is against; they are empty where there is none. A verdict's name is its metric,
    its contender the winner (empty where nobody wins) and its value the sentence. A pair's contender is its first one, and its name its
    metric and its second one.
    """
    import pandas as pd

    rows = [*_long_metrics(comparison), *_long_facts(comparison), *_long_verdicts(comparison), *_long_pairs(comparison)]
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
    """A row for each sentence; the ones behind those of the stages are about no metric."""
    named = {c.letter: c for c in comparison.contenders}
    for stage, sentence in zip_longest(verdict_of(comparison).of_stages(), sentences(comparison)):
        judged = stage[1] if stage else None
        who = _who(named[judged.winner]) if judged and judged.winner else ("", "", "")
        yield "verdict", judged.metric if judged else "", "", *who, plain(sentence), *_NOT_JUDGED
    for letter, alarms in verdict_of(comparison).alarms.items():
        for alarm in alarms:
            yield "alarm", "", "", *_who(named[letter]), one_line(alarm), *_NOT_JUDGED


def _long_pairs(comparison: Comparison) -> Iterator[LongRow]:
    """Every tested pair: the contender is the first one; the name says the metric and the second one, the value is the difference."""
    named = {c.letter: c for c in comparison.contenders}
    for metric_key, tested in (comparison.tests or {}).items():
        for pair in tested:
            numbers = {"p": pair.p_holm, "p of being the same": pair.p_same, "visible from": pair.smallest, "users needed": pair.needed}
            start = f"{metric_key} against {pair.b}"
            yield "pair", start, "", *_who(named[pair.a]), pair.difference, pair.low, pair.high, None, None, None
            for name, value in numbers.items():
                if value is not None:
                    yield "pair", f"{start}: {name}", "", *_who(named[pair.a]), value, *_NOT_JUDGED
            yield "pair", f"{start}: answer", "", *_who(named[pair.a]), pair_answer(pair, comparison), *_NOT_JUDGED


def _who(one: Contender) -> tuple[str, str, str]:
    """Letter, title and runs."""
    return one.letter, one_line(one.name), " ".join(one.run_ids)
