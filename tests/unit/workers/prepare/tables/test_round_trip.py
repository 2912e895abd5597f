"""Whatever cells a csv.writer wrote are read back as they were, from a file that is cut into parts anywhere."""

import csv
import io
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.prepare.tables.files import Part, read
from workers.prepare.tables.lines import Layout, parse

DELIMITERS = st.sampled_from([",", ";", "\t", "|"])
# cells full of what a table of lines is made of; a NUL is refused, and a byte order mark is no part of a value
SPECIAL = st.text(st.sampled_from(",;\t|\"' aé€𝄞"), max_size=6)
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\ufeff"), max_size=6)
BREAKS = st.text(st.sampled_from('\n\r",a '), max_size=6)
Table = list[list[str]]


def tables(cells: st.SearchStrategy[str]) -> st.SearchStrategy[Table]:
    """Rows of two to four cells, of one width."""
    return st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=12))


def written(table: Table, delimiter: str, line_end: str) -> str:
    text = io.StringIO()
    # csv quotes a line break by itself only where it is the one that ends lines
    quoting = csv.QUOTE_ALL if any("\r" in cell or "\n" in cell for row in table for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(table)
    return text.getvalue()


def layout(table: Table, delimiter: str, quoting: Literal["none", "quotes", "lines"]) -> Layout:
    return Layout("csv", tuple(f"c{place}" for place in range(len(table[0]) if table else 2)), delimiter=delimiter, quoting=quoting)


def rows(parts: Iterable[pa.Table], how: Layout) -> Table:
    """The cells of all rows, none of which has a problem."""
    found: Table = []
    for part in parts:
        assert part["problem"].null_count == part["raw"].null_count == part.num_rows
        found += [list(row.values()) for row in part.select(list(how.names)).to_pylist()]
    return found


@settings(derandomize=True, deadline=None)
@given(tables(SPECIAL | PLAIN), DELIMITERS)
def test_lines_give_back_the_cells_that_were_written(table: Table, delimiter: str) -> None:
    how = layout(table, delimiter, "quotes")
    lines = [line.encode() for line in written(table, delimiter, "\n").split("\n")]
    assert rows([parse(lines, how, how.names)], how) == table


@settings(derandomize=True, deadline=None, max_examples=60)
@given(tables(SPECIAL | PLAIN), DELIMITERS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 400), max_size=4))
def test_parts_of_a_file_give_each_row_once_wherever_it_is_cut(table: Table, delimiter: str, line_end: str, cuts: list[int]) -> None:
    content, how = written(table, delimiter, line_end).encode(), layout(table, delimiter, "quotes")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(content)
        ends: list[Any] = [0, *sorted({cut for cut in cuts if 0 < cut < len(content)}), None]
        parts = [Part(str(path), start=start, end=end) for start, end in pairwise(ends)]
        assert rows((found for part in parts for found in read(part, how, how.names)), how) == table


@settings(derandomize=True, deadline=None, max_examples=60)
@given(tables(BREAKS | SPECIAL), DELIMITERS, st.sampled_from(["\n", "\r\n"]))
def test_cells_with_line_breaks_come_back_where_lines_are_quoted(table: Table, delimiter: str, line_end: str) -> None:
    how = layout(table, delimiter, "lines")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(written(table, delimiter, line_end).encode())
        assert rows(read(Part(str(path)), how, how.names), how) == table
