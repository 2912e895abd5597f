"""Detect how the lines of a text file are cut into values: delimiter, quotes and escapes. Doubts are reported."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.tables.sniff import HEAD_LINES, Detection
from engine.tables.when import numbers_or_dates
from workers.prepare.tables import Layout, plain, quoted, ready

DELIMITERS = (",", "\t", ";", "|", "::")
BLANK, ENOUGH = " ", 0.9
NAMED = {"\t": "a tab", BLANK: "a blank"}
GROUPED = re.compile(r"\s*[+-]?\d+(?:[.' ]\d{3})*,\d+(?:,\d{3})*(?:\.\d+)?\s*")  # a number with commas in it
MISSING = re.compile(r'(?:^|[,\t;|:" ])\\N(?:$|[,\t;|:" ])')
Rows = list[list[str | None] | None]


class Cut(NamedTuple):
    """What a delimiter makes of the first lines: the share of rows with the most frequent number of fields, and that number."""

    delimiter: str
    share: float
    width: int
    rows: Rows

    @property
    def rank(self) -> tuple[float, int]:
        return round(self.share, 1), self.width


class Across(NamedTuple):
    """Rows that may go on in the next line: whether some do, the share that has one number of fields, and whether all could be cut."""

    breaks: bool
    share: float
    sound: bool


def delimiter_of(lines: list[str], layout: Layout) -> Detection:
    """The delimiter that cuts most lines into as many fields; of several, the one with more. A blank where no other does."""
    tried = [cut for delimiter in DELIMITERS if (cut := _cut(lines, layout._replace(delimiter=delimiter))).width > 1]
    others = [cut for cut in tried if cut.delimiter != "," and cut.share >= ENOUGH]
    if any(_commas_are_numbers(cut) for cut in others):
        tried = [cut for cut in tried if cut.delimiter != ","]
    if not tried or max(cut.share for cut in tried) < ENOUGH or all(cut.delimiter == "," for cut in tried):
        blank = _by_blanks(lines, layout, tried)
        if blank:
            return blank
    if not tried:
        return Detection(",", False, "There is no delimiter: every line is read as one value.")
    best = max(tried, key=lambda cut: cut.rank)  # of equals the first in DELIMITERS
    rivals = [cut.delimiter for cut in tried if cut.rank == best.rank and cut is not best]
    name = NAMED.get(best.delimiter, best.delimiter)
    if rivals:
        return Detection(best.delimiter, False, f"The delimiter may be {name} or {NAMED.get(rivals[0], rivals[0])}.")
    if best.share < ENOUGH:
        text = f"Only {best.share:.0%} of the first lines have {best.width} fields with the delimiter {name}."
        return Detection(best.delimiter, False, text)
    return Detection(best.delimiter)


def _cut(lines: list[str], layout: Layout) -> Cut:
    rows: Rows = [fields for fields, _ in quoted(lines, layout)]
    return Cut(layout.delimiter, *_evenness(rows), rows)


def _commas_are_numbers(cut: Cut) -> bool:
    """Whether values with a comma are numbers, such as 3,5, when lines are cut at another delimiter."""
    with_comma = [value for row in cut.rows for value in row or () if value and "," in value]
    return bool(with_comma) and sum(GROUPED.fullmatch(value) is not None for value in with_comma) >= ENOUGH * len(with_comma)


def _by_blanks(lines: list[str], layout: Layout, tried: Sequence[Cut]) -> Detection | None:
    """Runs of blanks and tabs as the delimiter; None where they do not cut the lines evenly, or another delimiter does better."""
    cut = _cut(lines, layout._replace(delimiter=BLANK))
    numbers = _columns_of_numbers(cut)
    if tried and max(one.share for one in tried) >= ENOUGH:
        if cut.share >= ENOUGH and numbers == cut.width and _commas_are_numbers(cut):
            return Detection(BLANK, False, "The delimiter may be a blank, with commas within numbers such as 3,5, or a comma.")
        return None
    if cut.width < 2 or cut.share < ENOUGH:
        return _lists(cut)
    if numbers:
        return Detection(BLANK, True, "Values are separated by blanks: a run of blanks or tabs is one delimiter.")
    return Detection(BLANK, False, "Lines have the same number of words: confirm that blanks separate values, or choose another delimiter.")


def _columns_of_numbers(cut: Cut) -> int:
    rows = [row for row in cut.rows if row is not None and len(row) == cut.width]
    body = rows[1:] or rows
    columns = [[row[k] or "" for row in body] for k in range(cut.width)] if body else []
    return sum(all(GROUPED.fullmatch(v) or fit for v, fit in zip(c, numbers_or_dates(c), strict=True)) for c in columns)


def _lists(cut: Cut) -> Detection | None:
    """Lines of a user and as many items as there are, such as "7 301 12 88"."""
    rows = [row for row in cut.rows if row and len(row) > 1]
    words = [value for row in rows for value in row if value]
    if len(rows) < ENOUGH * len(cut.rows) or not all(word.isdigit() for word in words):
        return None
    convert = "awk '{for (k = 2; k <= NF; k++) print $1, $k}' FILE > pairs.txt"
    return Detection(BLANK, False, f"Lines hold a user and a list of items of any length: one row for each item is needed. {convert}")


def _evenness(rows: Rows) -> tuple[float, int]:
    """The share of rows that have the most frequent number of fields, and that number."""
    counts = Counter(len(fields) for fields in rows if fields is not None)
    if not counts:
        return 0.0, 0
    width, count = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
    return count / max(len(rows), 1), width


def escape_of(text: str, lines: list[str], delimiter: str | None) -> Detection:
    r"""Whether a backslash escapes the next character: where \N stands alone, or \" and the like make lines even.

    Args:
        delimiter: the one that was chosen; None: any.
    """
    with_backslash = [line for line in lines if "\\" in line]
    if any(MISSING.search(line) for line in with_backslash):
        return Detection("backslash", True, r"\N is read as a missing value, and a backslash as an escape, as MySQL writes them.")
    if not any(re.search(r'\\["\t,;|]', line) for line in with_backslash):
        return Detection("none")
    layouts = [Layout("csv", (), delimiter=mark) for mark in ([delimiter] if delimiter else DELIMITERS)]
    if _most_even(text, lines, [layout._replace(escape="backslash") for layout in layouts]) > _most_even(text, lines, layouts):
        return Detection("backslash", True, r"A backslash escapes the next character here: \" is a quote within a value.")
    return Detection("none")


def _most_even(text: str, lines: list[str], layouts: Sequence[Layout]) -> tuple[float, float]:
    """The largest share of rows of one width, when quotes end with the line, and when they go on."""
    by_line = max(cut.share if cut.width > 1 else 0.0 for cut in (_cut(lines, layout) for layout in layouts))
    across = max(found.share if len(layout.delimiter) == 1 and (found := _across_lines(text, layout)).sound else 0.0 for layout in layouts)
    return by_line, across


def quoting_of(text: str, lines: list[str], layout: Layout) -> Detection:
    """Whether double quotes enclose values, enclose line breaks too, or are plain characters."""
    if '"' not in text or len(layout.delimiter) > 1:
        return Detection("quotes")
    rows = quoted(lines, layout._replace(quoting="quotes"))
    if all(problem is None for _, problem in rows):
        return Detection("quotes")
    by_line, _ = _evenness([fields for fields, _ in rows])
    without, _ = _evenness([fields for fields, _ in quoted(lines, layout._replace(quoting="none"))])
    across = _across_lines(text, layout) if layout.delimiter != BLANK else Across(False, 0.0, False)
    if across.breaks and across.share > max(by_line, without, ENOUGH) - 0.02:
        return Detection("lines", True, "Some values in quotes hold line breaks.")
    if without > by_line:
        return Detection("none", True, "Double quotes do not enclose whole values here: they are read as plain characters.")
    return Detection("quotes", False, "Some lines have quotes that do not close; they are set aside.")


def _across_lines(text: str, layout: Layout) -> Across:
    """The rows when quoted values may hold line breaks."""
    rows: Rows = []
    sound = True
    csv.field_size_limit(1 << 20)
    lines = (ready(line, layout) for line in io.StringIO(text, newline=""))
    try:
        for row in csv.reader(lines, delimiter=layout.delimiter, strict=True):
            if row:
                rows.append(plain(row, layout))
            if len(rows) >= HEAD_LINES:
                break
    except csv.Error as error:
        sound = "end of data" in str(error)  # the head may end within quotes
    breaks = any("\n" in (value or "") or "\r" in (value or "") for row in rows for value in row or ())
    share, width = _evenness(rows)
    return Across(breaks, share, sound and width > 1)
