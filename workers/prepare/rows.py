"""Raw rows of a source become interactions, or are set aside with a reason. The preview and Spark's executors both run this code."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from workers.prepare import times
from workers.prepare.aside import Reasons, raw_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class SourceFeature(NamedTuple):
    """A column of the users, the items or the interactions table that models may read.

    A multi-valued column is text joined by "|" and null when there is nothing; a dense column is a number, null when unknown.
    Names are [A-Za-z0-9_]+, unique, and none of RESERVED. A feature of side "context" stands in the interactions; one of side
    "user" or "item" in that table, or in the interactions, where the value of train met last holds for the user or item.
    """

    name: str
    side: Literal["user", "item", "context"]
    kind: Literal["single", "multi", "dense"]


class Reading(NamedTuple):
    """What the raw columns of the interactions are, and how they are read (`read`).

    Raw columns, text or typed: user_id and item_id unless there is none; by `value`: `rating` (number), `category` (category: a
    class or an action), `action.<name>` of each of `actions` (actions: 0 or 1 each), nothing (none: every row is liked);
    timestamp unless `time` is None; `split` when there is one; features of side context, and of other sides where no table holds
    them. Optional: `weight` (of a row in training, 1 when absent), `oracle` (the true logit of made data), `problem` (why the
    reader could not make sense of a row; null when it could) and `raw` (the row as text, for those).

    low, high: labels beyond these are set aside. time: unit of the timestamps (`workers.prepare.times`); magnitude tells s, ms, µs
    and ns apart value by value, order is a count that only orders rows, and without raw timestamps the place of the row itself.
    parts: the rows of one user and time are parts of one rating, which no split tears apart. whole_ids: the id 12346.0 is read as
    12346.
    """

    user: bool = True
    item: bool = True
    value: Literal["number", "category", "actions", "none"] = "number"
    actions: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    time: str | None = "s"
    split: bool = False
    parts: bool = False
    whole_ids: bool = False


MOMENT = ("timestamp", "subsecond")  # what orders rows in time; `subsecond` is not there without times
WHOLE_ID = r"^\s*(-?\d+)\.0+\s*$"  # a whole number as a data frame with gaps writes it
SHOWN = ("title", "genres", "image")  # what an interactions table may say of its items for people to read
EARLIEST, LATEST = -62_135_596_800, 253_402_300_799  # years 1 to 9999 in unix seconds
TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0}
SPLITS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
          "test": "test", "testing": "test"}  # fmt: skip


def schema(reading: Reading, features: Sequence[SourceFeature], columns: Sequence[str]) -> "pa.Schema":
    """The columns of rows that were read, given the raw columns there are."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    fields = [("row", pa.int64())]
    fields += [("user_id", text)] * reading.user + [("item_id", text)] * reading.item
    fields += [("rating", number)] * (reading.value == "number") + [("category", text)] * (reading.value == "category")
    fields += [(f"action.{name}", number) for name in reading.actions]
    fields += (
        [("timestamp", pa.int64())] + [("subsecond", number)] * (reading.time not in (None, "order")) + [("split", text)] * reading.split
    )
    fields += [(name, number) for name in ("weight", "oracle") if name in columns]
    fields += [(f.name, number if f.kind == "dense" else text) for f in features if f.name in columns]
    fields += [(name, text) for name in SHOWN if name in columns and name not in {f.name for f in features}]
    return pa.schema([*fields, ("reason", text), ("raw", text)])


def read(raw: "pa.Table", reading: Reading, features: Sequence[SourceFeature]) -> "pa.Table":
    """Interactions out of raw rows, as many and in the same order.

    Args:
        raw: `row` (int64) and the columns that `Reading` describes.

    Returns:
        The columns of `schema`: ids as the very text they were, ratings and dense features float64 (null when unknown), timestamp
        in unix seconds (0 without time), subsecond the rest of the time (null when 0), `reason`: why the row is set aside, or null;
        `raw`: those rows as text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, why = schema(reading, features, raw.column_names), Reasons(raw.num_rows)
    columns: dict[str, Any] = {"row": raw["row"]}
    if "problem" in raw.column_names:
        why.add_texts(raw["problem"].to_pylist())
    for name in wanted.names[1:-2]:
        if name in ("user_id", "item_id"):
            columns[name] = raw[name].cast(pa.string())
            if reading.whole_ids:
                columns[name] = pc.replace_substring_regex(columns[name], WHOLE_ID, r"\1")
            why.add(_blank(columns[name]), f"no {name.removesuffix('_id')} id")
        elif name == "rating":
            columns[name] = _label(raw[name], reading, why)
        elif name == "category":
            columns[name] = raw[name].cast(pa.string())
            why.add(_blank(columns[name]), "no label")
        elif name == "weight":
            columns[name] = _weight(raw[name], why)
        elif name == "timestamp":
            moments = _seconds(raw, reading.time, why)
            columns[name] = np.floor(moments).astype(np.int64)
        elif name == "subsecond":
            columns[name] = _subseconds(moments)
        elif name == "split":
            columns[name] = _split(raw[name], why)
        elif wanted.field(name).type == pa.string():
            column = raw[name].cast(pa.string())
            columns[name] = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        else:
            columns[name] = _numbers(raw[name])
    _check_actions(columns, reading, why)
    columns["reason"] = why.column()
    columns["raw"] = raw_text(raw, columns["reason"])
    return pa.table({name: columns[name] for name in wanted.names}, schema=wanted)


def _blank(column: "pa.ChunkedArray") -> np.ndarray:
    import pyarrow.compute as pc

    return pc.fill_null(pc.equal(pc.utf8_trim_whitespace(column), ""), True).to_numpy(zero_copy_only=False)


def _numbers(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """float64, null for anything but a finite number; text may hold a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _cast(column)
    column = column.cast(pa.float64())
    return pc.if_else(pc.fill_null(pc.is_finite(column), False), column, pa.scalar(None, pa.float64()))


def _cast(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Text as float64, null where it is no number."""
    import pandas as pd
    import pyarrow as pa

    try:
        return column.cast(pa.float64())  # twenty times as fast, but refuses any text that is no number
    except pa.ArrowInvalid:
        text = pd.Series(column.to_pylist(), dtype=object).replace("", None)
        return pa.chunked_array([pa.array(pd.to_numeric(text, errors="coerce").to_numpy(np.float64), from_pandas=True)])


def _label(column: "pa.ChunkedArray", reading: Reading, why: Reasons) -> "pa.Array":
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.float64())
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        column = column.cast(pa.string())
        value = _cast(column).to_numpy()
        if np.isnan(value).any():
            words = pd.Series(column.to_pylist(), dtype=object).str.strip().str.lower()
            value = np.where(np.isnan(value), words.map(TRUTHS).to_numpy(np.float64), value)
            why.add(_blank(column), "no rating")
        why.add(np.isnan(value), "the rating is not a number")
    else:
        value = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        why.add(np.isnan(value), "no rating")
    why.add(np.isinf(value), "the rating is infinite")
    low, high = -np.inf if reading.low is None else reading.low, np.inf if reading.high is None else reading.high
    why.add((value < low) | (value > high), f"the rating is outside {low:g} to {high:g}")
    return pa.array(np.where(np.isfinite(value), value, np.nan), from_pandas=True)


def _weight(column: "pa.ChunkedArray", why: Reasons) -> "pa.Array":
    import pyarrow as pa

    text = column.cast(pa.string())
    why.add(_blank(text), "no weight")
    value = _cast(text).to_numpy()
    why.add(np.isnan(value), "the weight is not a number")
    why.add(np.isinf(value), "the weight is infinite")
    why.add(value < 0, "the weight is negative")
    return pa.array(np.where(np.isfinite(value), value, np.nan), from_pandas=True)


def _seconds(raw: "pa.Table", unit: str | None, why: Reasons) -> np.ndarray:
    """Unix seconds and parts of them; 0 where there is no time or it cannot be read."""
    import pyarrow as pa

    if unit is None:
        return np.zeros(raw.num_rows, np.int64)
    if unit == "order" and "timestamp" not in raw.column_names:
        return raw["row"].to_numpy()
    column = raw["timestamp"]
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        value = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64) / 10**6
        missing = np.isnan(value)
    elif unit in times.DATES or times.is_pattern(unit):
        value, missing = times.seconds(column, unit), _blank(column.cast(pa.string()))
    else:
        text = not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
        missing = _blank(column) if text else column.is_null().to_numpy()
        value = times.since_1970(_numbers(column).to_numpy(zero_copy_only=False), unit)
    why.add(missing, "no timestamp")
    why.add(np.isnan(value), "the timestamp cannot be read")
    if unit != "order":
        why.add((value < EARLIEST) | (value > LATEST), "the timestamp is outside the years 1 to 9999")
    sound = np.isfinite(value) & (np.abs(value) < 2**62)
    return np.where(sound, value, 0)


def _subseconds(moments: np.ndarray) -> "pa.Array":
    """The part of each second, to the microsecond; null where it is 0, so that whole seconds take no room and keep their hash."""
    import pyarrow as pa

    part = np.minimum(np.round(moments - np.floor(moments), 6), 0.999999)
    return pa.array(part, mask=part == 0)


def _split(column: "pa.ChunkedArray", why: Reasons) -> "pa.Array":
    import pandas as pd
    import pyarrow as pa

    named = pd.Series(column.cast(pa.string()).to_pylist(), dtype=object).str.strip().str.lower().map(SPLITS)
    why.add(named.isna().to_numpy(), "the split is neither train, valid nor test")
    return pa.array(named.fillna("train"), pa.string())


def _check_actions(columns: dict[str, Any], reading: Reading, why: Reasons) -> None:
    """Several 0/1 columns: an empty one means 0, unless all are empty."""
    import pyarrow as pa

    if reading.actions:
        given = np.stack([columns[f"action.{name}"].to_numpy(zero_copy_only=False) for name in reading.actions])
        why.add(np.isnan(given).all(axis=0), "no label")
        why.add((np.nan_to_num(given) * (np.nan_to_num(given) - 1) != 0).any(axis=0), "an action is neither 0 nor 1")
        columns.update({f"action.{name}": pa.array(np.nan_to_num(row)) for name, row in zip(reading.actions, given, strict=True)})


@dataclass(frozen=True)
class RowReader:
    """`read` as a mapInArrow function; batches have `row`."""

    reading: Reading
    features: tuple[SourceFeature, ...]

    def __call__(self, batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        for batch in batches:
            yield from read(pa.Table.from_batches([batch]), self.reading, self.features).combine_chunks().to_batches()


def read_frame(raw: "pd.DataFrame", reading: Reading, features: Sequence[SourceFeature]) -> "pd.DataFrame":
    """`read` on a frame: rows are numbered from 1."""
    import pyarrow as pa

    table = pa.Table.from_pandas(raw, preserve_index=False)
    return read(table.append_column("row", pa.array(np.arange(1, len(raw) + 1))), reading, features).to_pandas()


RESERVED = {
    "user_id", "item_id", "rating", "category", "timestamp", "subsecond", "split", "weight", "oracle", "problem", "reason", "raw", "row",
    "label", "target", "history", "user", "item", "dense", "train_count", "train_positives", "test_positives", "interactions", "title",
    "genres", "image", "seen", "relevant", "liked",
}  # fmt: skip
