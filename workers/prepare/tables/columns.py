"""Columns of an unknown table become columns of a source: ids as exact text, lists joined, numbers as numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from workers.prepare.tables.listed import one_row_each, pair_part
from workers.prepare.tables.values import Numbers, plain_numbers, without_missing

if TYPE_CHECKING:
    import pyarrow as pa

PROBLEM = ("problem", "raw")
EXACT = 2**53
How = Literal["text", "blank", "tags", "number"]


class Output(NamedTuple):
    """An output column: its name, the column it is read from, and how. blank: text, null when blank; tags: "a|b|c" or null.

    missing: values that are read as null. numbers: how the column writes them. each: a cell lists values, and each gets a row of its
    own; item and label are the parts of values such as N55689-1. All outputs with `each` are of one column.
    """

    name: str
    column: str
    how: How = "text"
    separator: str = "|"
    missing: tuple[str, ...] = ()
    numbers: Numbers = "plain"
    each: Literal["value", "item", "label"] | None = None


def shape(table: "pa.Table", outputs: Sequence[Output]) -> "pa.Table":
    """The output columns, text except for numbers (float64), then `problem` and `raw`."""
    import pyarrow as pa

    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    if listed := next((output for output in outputs if output.each), None):
        table = one_row_each(table, listed.column, listed.separator)
    for output in outputs:
        column = table[output.column]
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        column = pair_part(column, output.each) if output.each in ("item", "label") else column
        column = plain_numbers(without_missing(column, output.missing), output.numbers)
        columns[output.name] = _HOW[output.how](column, output.separator)
    for name in PROBLEM:
        columns[name] = table[name] if name in table.column_names else pa.nulls(table.num_rows, pa.string())
    return pa.table(columns)


def _same(column: "pa.Array", separator: str) -> "pa.Array":
    return column


def _blank(column: "pa.Array", separator: str) -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, pa.string()), column)


def _tags(column: "pa.Array", separator: str) -> "pa.Array":
    import pyarrow.compute as pc

    if separator != "|":
        column = pc.replace_substring(pc.replace_substring(column, "|", "¦"), separator, "|")
    column = pc.replace_substring_regex(column, r"(\s*\|\s*)+", "|")
    return _blank(pc.utf8_trim(pc.utf8_trim_whitespace(column), "|"), separator)


def _number(column: "pa.Array", separator: str) -> "pa.Array":
    """float64; null for what is no finite number."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    text = pd.Series(column.to_pylist(), dtype=object).replace("", None)
    value = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    return pa.array(np.where(np.isfinite(value), value, np.nan), from_pandas=True)


_HOW = {"text": _same, "blank": _blank, "tags": _tags, "number": _number}


def refused_type(kind: "pa.DataType") -> str | None:
    """Why a column of this type cannot be mapped, or None."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return "an extension type"
    if pa.types.is_dictionary(kind):
        return refused_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "a list of lists or objects" if pa.types.is_nested(kind.value_type) else refused_type(kind.value_type)
    if pa.types.is_nested(kind):
        return "an object"
    if pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return "a time of day or a span of time"
    return "bytes of fixed size" if pa.types.is_fixed_size_binary(kind) else None


def as_text(column: "pa.Array") -> "pa.Array":
    """A typed column as text: whole numbers with all their digits, dates and times as ISO 8601 in UTC, lists joined by "|".

    NaN is null: it is how many writers say that a whole number is missing.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if refused_type(kind):
        raise ValueError(f"A column is {refused_type(kind)} ({kind}), which cannot be read as plain values; leave it unmapped.")
    if pa.types.is_dictionary(kind):
        return as_text(column.dictionary_decode())
    if pa.types.is_floating(kind):
        return _float_text(column.cast(pa.float32()) if pa.types.is_float16(kind) else column)
    if pa.types.is_timestamp(kind):
        whole = column.cast(pa.timestamp("us", kind.tz), safe=False)  # Spark knows no finer time
        return (whole.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")) if kind.tz else whole).cast(pa.string())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        rows = column.to_pylist()
        flat = as_text(pa.array([value for row in rows for value in row or ()], kind.value_type)).to_pylist()
        texts = iter(flat)
        return pa.array([None if row is None else "|".join(next(texts) or "" for _ in row) for row in rows], pa.string())
    try:
        text = column.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise ValueError("A column of bytes is not UTF-8 text; leave it unmapped.") from error
    return pc.if_else(pc.is_valid(text), text, pa.scalar(None, pa.string()))


def _float_text(column: "pa.Array") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    whole = pc.fill_null(pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), pa.scalar(EXACT, pa.float64()))), False)
    digits = pc.if_else(whole, column, pa.scalar(None, column.type)).cast(pa.float64()).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(digits, column.cast(pa.string()))
