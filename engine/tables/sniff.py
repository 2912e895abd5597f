"""Detect from the head of a text file how it is written: encoding, line ends, delimiter, quotes, header. Doubts are reported."""

import codecs
import json
import re
from typing import NamedTuple

from engine.tables.specs import ENCODINGS
from engine.tables.when import numbers_or_dates

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
WESTERN = {
    "cp1250",
    "iso8859-2",
    "cp1252",
    "latin-1",
    "iso8859-15",
    "cp1254",
    "cp1257",
    "mac_roman",
}  # alike to a detector
HEAD_LINES = 1000


class Detection(NamedTuple):
    """A detected property, whether it is certain, and a sentence where there is something to report."""

    value: str
    certain: bool = True
    note: str | None = None


def encoding_of(start: bytes) -> Detection:
    """The encoding of a text, from its first bytes."""
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
    """The encoding of text that is not UTF-8 at byte `at`: an older encoding, or UTF-8 with invalid bytes."""
    odd = sum(byte > 127 for byte in start)
    lost = start.decode("utf-8", "ignore").encode()
    if odd > 20 and len(start) - len(lost) < 0.05 * odd:
        return Detection("utf-8", False, f"Almost all is UTF-8, but byte {at:,} is not; such lines are set aside.")
    guess = "cp1252"
    try:
        from charset_normalizer import from_bytes

        best = from_bytes(start[: 1 << 16]).best()
        name = best.encoding.replace("latin_1", "latin-1") if best else guess
        guess = name if name in ENCODINGS and name not in WESTERN | {"utf-8"} else guess
    except ImportError:
        pass
    try:
        start[: 1 << 16].decode(guess)
    except UnicodeDecodeError:
        guess = "latin-1" if guess == "cp1252" else guess
    return Detection(guess, False, f"The file is not UTF-8 (byte {at:,}). It is read as {guess.upper()}: check that the letters are right.")


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
    """The first lines that are not blank, without a last one that is cut off."""
    lines = re.split("\r\n|\r|\n", text)
    lines = lines if whole or len(lines) < 2 else lines[:-1]
    return [line for line in lines if line.strip(" ")][:HEAD_LINES]


def header_of(rows: list[list[str]], known: int) -> Detection:
    """Whether the first row names the columns.

    Args:
        rows: the first rows, alike in width.
        known: how many values of the first row are names that columns often have.
    """
    first, others = rows[0], rows[1:]
    plain = [not value.strip() or fits for value, fits in zip(first, numbers_or_dates(first), strict=True)]
    named = [value for value in first if value.strip()]
    if known and not any(p and v.strip() for p, v in zip(plain, first, strict=True)):
        return Detection("yes")
    if any(p and v.strip() for p, v in zip(plain, first, strict=True)):
        return Detection("no", not known, "The first line holds numbers or dates, so it is read as data, not as names.")
    numeric = [k for k in range(len(first)) if others and all(numbers_or_dates([row[k] for row in others if row[k].strip()]))]
    if any(any(row[k].strip() for row in others) for k in numeric):
        return Detection("yes")
    again = any(value in {row[k] for row in others} for k, value in enumerate(first) if value.strip())
    if again or len(set(named)) < len(named):
        return Detection("no", False, "The first line looks like the others, so it is read as data: confirm that it has no column names.")
    return Detection("yes", False, "The first line is read as column names: confirm that it is.")
