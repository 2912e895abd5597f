"""Lines of delimited text or JSON become columns of text; a line that cannot be read keeps its place, with the reason.

Every line is read by itself, so that a file may be cut anywhere between two lines and gives the same rows. Nothing is guessed:
values keep their exact characters ("007", "NA", " padded ").
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from workers.prepare.tables.fields import (
    BLANK,
    BLANKS,
    FIELD_LIMIT,
    NOT_CLOSED,
    RAW_LIMIT,
    Fields,
    Layout,
    all_sound,
    complaint,
    counted,
    cut,
    is_special,
    plain,
    quoted,
    ready,
)

if TYPE_CHECKING:
    import pyarrow as pa

NUL, MARK = "\x00", "\ufeff"
BATCH_ROWS = 50_000
NOTED = ("problem", "raw")
NUL_BYTE = "a NUL byte"

Record = tuple[list[str | None] | None, str | None, str]  # as Fields, and the row as text


def parse(lines: Sequence[bytes], layout: Layout, wanted: Sequence[str], encoding: str | None = None) -> "pa.Table":
    """One row per line that is not blank: `wanted` columns as text, `problem` and, where there is one, the line as `raw`.

    Args:
        lines: without their line ends.
        encoding: of these lines, where it differs from that of the file.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    text, broken = _decoded(lines, encoding or layout.encoding)
    if layout.format == "jsonl":
        return _table(
            [_from_json(line, layout.names, bad) for line, bad in zip(text.to_pylist(), broken, strict=True) if line.strip()],
            layout,
            wanted,
        )
    keep = pc.not_equal(pc.utf8_trim(text, BLANKS if layout.delimiter == BLANK else " "), "")
    if layout.headers:
        keep = pc.and_not(keep, pc.is_in(text, pa.array(layout.headers, pa.string())))
    return _delimited(text.filter(keep), broken.filter(keep), layout, wanted)


def _decoded(lines: Sequence[bytes], encoding: str) -> "tuple[pa.Array, pa.Array]":
    """The lines as text without a byte order mark, and the reason for those that are not text in this encoding."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codec = "utf-8" if encoding == "utf-8-sig" else encoding
    try:
        if codec != "utf-8" and not b"".join(lines).isascii():
            raise ValueError
        text = pa.array(lines, pa.binary()).cast(pa.string())
        broken = pa.nulls(len(lines), pa.string())
    except ValueError:  # ArrowInvalid is one
        decoded: list[str] = []
        wrong: list[str | None] = []
        for line in lines:
            try:
                decoded.append(line.decode(codec))
                wrong.append(None)
            except UnicodeDecodeError:
                decoded.append(line.decode(codec, "replace"))
                wrong.append(f"bytes that are not {encoding.upper()} text")
        text, broken = pa.array(decoded, pa.string()), pa.array(wrong, pa.string())
    return pc.utf8_ltrim(text, MARK) if codec == "utf-8" and pc.any(pc.starts_with(text, MARK)).as_py() else text, broken


def _delimited(text: "pa.Array", broken: "pa.Array", layout: Layout, wanted: Sequence[str]) -> "pa.Table":
    """Lines with quotes, escapes or NUL go one by one; all others are cut at the delimiter together."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    bad = pc.or_(pc.is_valid(broken), pc.match_substring(text, NUL))
    odd = pc.or_(bad, is_special(text, layout))
    usual = cut(text.filter(pc.invert(odd)), layout, wanted)
    if usual.num_rows == len(text):
        return usual
    lines = text.filter(odd).to_pylist()
    if not pc.any(bad).as_py() and (sound := all_sound(lines, layout)):
        columns = list(zip(*sound, strict=True))
        nothing = pa.nulls(len(lines), pa.string())
        special = pa.table(
            {name: pa.array(columns[layout.names.index(name)], pa.string()) for name in wanted} | dict.fromkeys(NOTED, nothing)
        )
    else:
        read_lines = zip(lines, broken.filter(odd).to_pylist(), quoted(lines, layout), strict=True)
        rows = [(None, why or NUL_BYTE, line) if why or NUL in line else (*counted(read, layout), line) for line, why, read in read_lines]
        special = _table(rows, layout, wanted)
    mask = odd.to_numpy(zero_copy_only=False)
    order = np.argsort(np.concatenate([np.flatnonzero(~mask), np.flatnonzero(mask)]))
    return pa.concat_tables([usual, special]).take(pa.array(order)).combine_chunks()


def records(lines: Iterable[str], layout: Layout) -> Iterator[Record]:
    """Rows whose quoted values may hold line breaks, from lines with their ends: values, the problem, the row as text.

    Text that is not of the encoding has surrogates in its place. When a row that spans lines does not fit, its first line
    is set aside and the others are read again: a stray quote costs one line, not the rest of the file.
    """
    csv.field_size_limit(FIELD_LIMIT)
    again: list[str] = []
    source = iter(lines)
    headers = {tuple(fields or ()) for fields, _ in quoted(list(layout.headers), layout)}
    while True:
        taken: list[str] = []
        try:
            fields = next(csv.reader(_taking(again, source, taken, layout), delimiter=layout.delimiter, strict=True), None)
            read: Fields = counted((plain(fields, layout), None), layout) if fields is not None else (None, None)
        except csv.Error as error:
            read = (None, complaint(error))
        if not taken:
            return
        if read[1] and len(taken) > 1:
            again[:0] = taken[1:]
            read = (None, NOT_CLOSED)
            del taken[1:]
        text = "".join(taken)
        if not text.strip(" \r\n") or tuple(read[0] or ()) in headers:
            continue
        if NUL in text:
            read = (None, NUL_BYTE)
        elif not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            read, text = (None, f"bytes that are not {layout.encoding.upper()} text"), text.encode("utf-8", "replace").decode()
        yield *read, text.rstrip("\r\n")


def _taking(again: list[str], source: Iterator[str], taken: list[str], layout: Layout) -> Iterator[str]:
    """Lines as they can be cut; `taken` gets them as they are."""
    while True:
        line = again.pop(0) if again else next(source, None)
        if line is None:
            return
        taken.append(line)
        yield ready(line, layout)


def batches(rows: Iterable[Record], layout: Layout, wanted: Sequence[str]) -> "Iterator[pa.Table]":
    """Rows of `records` as tables."""
    held: list[Record] = []
    for row in rows:
        held.append(row)
        if len(held) == BATCH_ROWS:
            yield _table(held, layout, wanted)
            held = []
    yield _table(held, layout, wanted)


def _table(rows: Sequence[Record], layout: Layout, wanted: Sequence[str]) -> "pa.Table":
    import pyarrow as pa

    places = {name: layout.names.index(name) for name in wanted}
    columns = {name: pa.array([fields[k] if fields else None for fields, _, _ in rows], pa.string()) for name, k in places.items()}
    problems = [problem for _, problem, _ in rows]
    raw = [text.replace(NUL, "␀")[:RAW_LIMIT] if problem else None for _, problem, text in rows]
    return pa.table({**columns, "problem": pa.array(problems, pa.string()), "raw": pa.array(raw, pa.string())})


def _from_json(line: str, names: tuple[str, ...], broken: "pa.Scalar") -> Record:
    if broken.as_py() or NUL in line:
        return None, broken.as_py() or NUL_BYTE, line
    try:
        value = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)  # numbers keep their digits
        if not isinstance(value, dict):
            return None, "no JSON object", line
        values = [json_text(value.get(name)) for name in names]
        "".join(value for value in values if value).encode()
    except UnicodeEncodeError:
        return None, "half of a surrogate pair, which is no text", line
    except RecursionError:
        return None, "JSON that is nested too deep", line
    except TypeError as error:
        return None, str(error), line
    except ValueError:
        return None, "no JSON object", line
    return values, None, line


def json_text(value: object) -> str | None:
    """A JSON value as text; a list of plain values is joined by "|".

    Raises:
        TypeError: the value is an object or a list of lists.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
        return "|".join(json_text(part) or "" for part in value).strip("|") or None
    raise TypeError("an object inside the object where a plain value belongs")
