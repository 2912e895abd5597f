"""Cells that list items become one row for each item: an impression, a basket or a session in one cell."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Listed = Literal["one", "items", "pairs"]
AROUND_LIST, AROUND_ITEM = r"^\s*[\[({]\s*|\s*[\])}]\s*$", " \t\"'"
PAIR = r"^(?P<item>.+)[-:=](?P<label>-?[0-9]+(?:\.[0-9]+)?)$"


def one_row_each(table: "pa.Table", column: str, separator: str) -> "pa.Table":
    """A row for each value of the lists in a column, which holds that value then; the others are repeated.

    A list may be in brackets and its values in quotes. A blank separator stands for runs of blanks. A cell without a value keeps its
    row, so that it is counted.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = table[column].combine_chunks() if isinstance(table[column], pa.ChunkedArray) else table[column]
    text = pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.fill_null(cells, ""), AROUND_LIST, ""))
    lists = pc.split_pattern_regex(text, r"[ \t]+") if separator == " " else pc.split_pattern(text, separator)
    values, rows = pc.utf8_trim(pc.list_flatten(lists), AROUND_ITEM), pc.list_parent_indices(lists)
    kept = pc.or_(pc.not_equal(values, ""), pc.equal(pc.list_value_length(lists), 1).take(rows))
    values, rows = values.filter(kept), rows.filter(kept)
    values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
    place = table.column_names.index(column)
    return table.take(rows).set_column(place, column, values)


def pair_part(column: "pa.Array", part: Literal["item", "label"]) -> "pa.Array":
    """The item or the label of values such as N55689-1; without a label the item is the whole value, and the label null."""
    import pyarrow.compute as pc

    found = pc.struct_field(pc.extract_regex(column, PAIR), part)
    return pc.coalesce(found, column) if part == "item" else found
