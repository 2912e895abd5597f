"""How a text file is written, told from its head: encoding, line ends, delimiter, quotes, header. Doubt is said, not hidden."""

import codecs
import csv
import io
import json
import re
from collections import Counter
from typing import NamedTuple

from engine.tables.specs import ENCODINGS
from workers.prepare.tables import Layout, quoted

DELIMITERS = (",", "\t", ";", "|", "::")
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
WESTERN = {"cp1250", "iso8859-2", "cp1252", "latin-1", "iso8859-15", "cp1254", "cp1257", "mac_roman"}  # alike to a detector
HEAD_LINES = 1000
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
DATE = re.compile(r"\s*\d{4}-\d{1,2}-\d{1,2}([T ].*)?")


class Detection(NamedTuple):
    """What was told, whether it is sure, and a sentence when there is something to say."""

    value: str
    certain: bool = True
    note: str | None = None


def encoding_of(start: bytes) -> Detection:
    """The encoding of a text that begins like this."""
    for mark, name in MARKS:
        if start.startswith(mark):
            return Detection(name, True, f"A byte order mark says {name.removesuffix('-sig').upper()}.")
    even, odd = start[0:4096:2].count(0), start[1:4096:2].count(0)
    half = max(len(start[:4096]) // 2, 1)
    if max(even, odd) > 0.3 * half and min(even, odd) < 0.05 * half:
        return Detection("utf-16-le" if odd > even else "utf-16-be", True, "Every second byte is NUL: UTF-16 without a byte order mark.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
        return Detection("utf-8")
    except UnicodeDecodeError as error:
        return _legacy(start, error.start)


def _legacy(start: bytes, at: int) -> Detection:
    """Not UTF-8 at byte `at`: one of many older encodings, or UTF-8 with a broken byte."""
    odd = sum(byte > 127 for byte in start)
    lost = start.decode("utf-8", "ignore").encode()
    if odd > 20 and len(start) - len(lost) < 0.05 * odd:
        return Detection("utf-8", False, f"Almost all is UTF-8, but not byte {at:,}; the lines that are not are set aside.")
    guess = "cp1252"
    try:
        from charset_normalizer import from_bytes

        best = from_bytes(start[: 1 << 16]).best()
        found = best.encoding.replace("latin_1", "latin-1") if best else guess
        guess = found if found in ENCODINGS and found not in WESTERN | {"utf-8"} else guess
    except ImportError:
        pass
    try:
        start[: 1 << 16].decode(guess)
    except UnicodeDecodeError:
        guess = "latin-1" if guess == "cp1252" else guess
    return Detection(
        guess, False, f"The file is not UTF-8 (byte {at:,}). It is taken as {guess.upper()}: look whether the letters are right."
    )


def newlines_of(text: str) -> str:
    crlf = text.count("\r\n")
    lf, cr = text.count("\n") - crlf, text.count("\r") - crlf
    kinds = [name for name, count in (("LF", lf), ("CRLF", crlf), ("CR", cr)) if count]
    return "mixed" if len(kinds) > 1 else (kinds[0] if kinds else "")


def is_json_lines(text: str) -> bool:
    line = next((line for line in text.splitlines() if line.strip()), "")
    try:
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def lines_of(text: str, whole: bool) -> list[str]:
    """The first lines that are not blank, without one that the head cuts short."""
    lines = re.split("\r\n|\r|\n", text)
    lines = lines if whole or len(lines) < 2 else lines[:-1]
    return [line for line in lines if line.strip(" ")][:HEAD_LINES]


def delimiter_of(lines: list[str]) -> Detection:
    """The delimiter that cuts most lines into the same number of fields; of several, the one with more fields."""
    tried = []
    for delimiter in DELIMITERS:
        share, width = _evenness([fields for fields, _ in quoted(lines, Layout("csv", (), delimiter=delimiter))])
        if width > 1:
            tried.append((round(share, 1), width, delimiter, share))
    if not tried:
        return Detection(",", False, "No delimiter was found: every line is taken as one value.")
    best = max(tried, key=lambda found: found[:2])  # the first of equals, as DELIMITERS lists them
    rivals = [found[2] for found in tried if found[:2] == best[:2] and found is not best]
    named = {"\t": "a tab"}
    if rivals:
        return Detection(best[2], False, f"The delimiter may be {named.get(best[2], best[2])} or {named.get(rivals[0], rivals[0])}.")
    if best[3] < 0.9:
        text = f"Only {best[3]:.0%} of the first lines have {best[1]} fields with the delimiter {named.get(best[2], best[2])}."
        return Detection(best[2], False, text)
    return Detection(best[2])


def _evenness(rows: "list[list[str | None] | None]") -> tuple[float, int]:
    """The share of rows that have the commonest number of fields, and that number."""
    counts = Counter(len(fields) for fields in rows if fields is not None)
    if not counts:
        return 0.0, 0
    width, count = max(counts.items(), key=lambda found: (found[1], found[0]))
    return count / max(len(rows), 1), width


def quoting_of(text: str, lines: list[str], delimiter: str) -> Detection:
    """Whether double quotes are around values, with line breaks inside, or characters like others."""
    if '"' not in text or len(delimiter) > 1:
        return Detection("quotes")
    layout = Layout("csv", (), delimiter=delimiter)
    rows = quoted(lines, layout)
    if all(problem is None for _, problem in rows):
        return Detection("quotes")
    by_line, _ = _evenness([fields for fields, _ in rows])
    plain, _ = _evenness([list(line.split(delimiter)) for line in lines])
    broken, across = _across_lines(text, delimiter)
    if broken and across > max(by_line, plain, 0.9) - 0.02:
        return Detection("lines", True, "Some values in quotes hold line breaks.")
    if plain > by_line:
        return Detection("none", True, "Double quotes are not around whole values here: they are taken as plain characters.")
    return Detection("quotes", False, "Some lines have quotes that do not close; they are set aside.")


def _across_lines(text: str, delimiter: str) -> tuple[bool, float]:
    """Whether quoted values hold line breaks, and how even the rows then are."""
    rows: list[list[str | None] | None] = []
    csv.field_size_limit(1 << 20)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if row:
                rows.append(list(row))
            if len(rows) >= HEAD_LINES:
                break
    except csv.Error:
        pass  # the head may end within quotes
    return any("\n" in (value or "") or "\r" in (value or "") for row in rows for value in row or ()), _evenness(rows)[0]


def header_of(rows: list[list[str]], known: int) -> Detection:
    """Whether the first row names the columns.

    Args:
        rows: the first rows, alike in width.
        known: how many values of the first row are names that columns often have.
    """
    first, others = rows[0], rows[1:]
    plain = [not value.strip() or bool(NUMBER.fullmatch(value) or DATE.fullmatch(value)) for value in first]
    named = [value for value in first if value.strip()]
    if known and not any(p and v.strip() for p, v in zip(plain, first, strict=True)):
        return Detection("yes")
    if any(p and v.strip() for p, v in zip(plain, first, strict=True)):
        return Detection("no", not known, "The first line holds numbers or dates, so that it is taken as data, not as names.")
    numeric = [
        k
        for k in range(len(first))
        if others and all(NUMBER.fullmatch(row[k]) or DATE.fullmatch(row[k]) for row in others if row[k].strip())
    ]
    if any(any(row[k].strip() for row in others) for k in numeric):
        return Detection("yes")
    again = any(value in {row[k] for row in others} for k, value in enumerate(first) if value.strip())
    if again or len(set(named)) < len(named):
        return Detection(
            "no", False, "The first line looks like the others, so that it is taken as data: say whether it names the columns."
        )
    return Detection("yes", False, "The first line is taken as the names of the columns: say whether it is.")
