"""A line of delimited text is cut into values: at a delimiter or at runs of blanks, with or without quotes and backslashes."""

import csv
import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

RAW_LIMIT, FIELD_LIMIT = 20_000, 1 << 20
NOT_CLOSED = "a quote that is opened and not closed"
AFTER_QUOTE = "text after a closing quote"
BLANK, BLANKS = " ", " \t"  # the delimiter of one blank stands for runs of both

Fields = tuple[list[str | None] | None, str | None]  # the values, or None and the reason

# While a line is cut, an escaped character is one that no text holds: Unicode sets U+FDD0 to U+FDEF apart for such use.
NULL = "\ufdd0"
ESCAPED = {"N": NULL, '"': "\ufdd1", "\\": "\ufdd2", "n": "\ufdd3", "r": "\ufdd4", "t": "\ufdd5", " ": "\ufdd6", "\t": "\ufdd7"}
MEANT = {"n": "\n", "r": "\r", "t": "\t"}
FIRST_OF_DELIMITER = 0xFDE0
QUOTED_OR_BLANKS = re.compile(r'"(?:[^"]|"")*"|[ \t]+')


class Layout(NamedTuple):
    r"""How the lines of a file hold rows.

    names: every column, in the order of the file (JSON: the keys to read). headers: lines equal to one of these are not rows.
    delimiter: one blank stands for a run of blanks and tabs. quoting: none (a quote is an ordinary character), quotes (a value in
    double quotes may hold the delimiter), lines (and line breaks). escape: backslash (\" is a quote, \N a missing value, \n a
    line break, as MySQL writes them), or none.
    """

    format: Literal["csv", "jsonl"]
    names: tuple[str, ...]
    encoding: str = "utf-8"
    delimiter: str = ","
    quoting: Literal["none", "quotes", "lines"] = "quotes"
    headers: tuple[str, ...] = ()
    escape: Literal["none", "backslash"] = "none"

    @property
    def quotes(self) -> bool:
        """Whether quotes enclose values."""
        return self.quoting != "none" and len(self.delimiter) == 1


def ready(line: str, layout: Layout) -> str:
    """A line as the csv module can cut it: escaped characters are out of its sight, and runs of blanks are one."""
    if layout.escape == "backslash" and "\\" in line:
        of_delimiter = {character: chr(FIRST_OF_DELIMITER + k) for k, character in enumerate(layout.delimiter)}
        hidden = ESCAPED | of_delimiter
        line = re.sub(r"\\(.)", lambda match: hidden.get(match[1], match[1]), line)
    if layout.delimiter == BLANK:
        quotes = layout.quotes and '"' in line
        line = line.strip(BLANKS)
        line = QUOTED_OR_BLANKS.sub(lambda m: m[0] if m[0][0] == '"' else BLANK, line) if quotes else re.sub(r"[ \t]+", BLANK, line)
    return line


def plain(fields: "Sequence[str | None]", layout: Layout) -> list[str | None]:
    """The values of a line that was made `ready`, with the characters that escapes stand for; an escaped N is a missing value."""
    if layout.escape == "none":
        return list(fields)
    shown = {hidden: MEANT.get(escaped, escaped) for escaped, hidden in ESCAPED.items()}
    shown |= {chr(FIRST_OF_DELIMITER + k): character for k, character in enumerate(layout.delimiter)}
    back = str.maketrans(shown)
    return [None if field is None or field == NULL else field.translate(back) for field in fields]


def quoted(lines: list[str], layout: Layout) -> list[Fields]:
    """The fields of each line, or the problem with its quotes."""
    csv.field_size_limit(FIELD_LIMIT)
    return [_one(line, layout) for line in lines]


def _one(line: str, layout: Layout) -> Fields:
    line = ready(line, layout)
    if not layout.quotes:
        return plain(line.split(layout.delimiter), layout), None
    try:
        return plain(next(csv.reader([line], delimiter=layout.delimiter, strict=True)), layout), None
    except csv.Error as error:
        return None, complaint(error)


def complaint(error: csv.Error) -> str:
    """What is wrong with the quotes of a line."""
    if "expected after" in str(error):
        return AFTER_QUOTE
    return f"a value of more than {FIELD_LIMIT:,} characters" if "field limit" in str(error) else NOT_CLOSED


def counted(read: Fields, layout: Layout) -> Fields:
    """The fields where there are as many as names, or the problem."""
    fields, problem = read
    if fields is not None and len(fields) != len(layout.names):
        how_many = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        return None, f"{how_many} instead of {len(layout.names)}"
    return fields, problem


def all_sound(lines: list[str], layout: Layout) -> list[list[str | None]] | None:
    """The fields of lines if all of them are correct, else None: the usual case, ten times as fast as line by line."""
    if not layout.quotes:
        rows = [plain(ready(line, layout).split(layout.delimiter), layout) for line in lines]
        return rows if set(map(len, rows)) == {len(layout.names)} else None
    csv.field_size_limit(FIELD_LIMIT)
    try:
        rows = [plain(row, layout) for row in csv.reader((ready(line, layout) for line in lines), delimiter=layout.delimiter, strict=True)]
    except csv.Error:
        return None
    # a quote left open would have swallowed the next line
    return rows if len(rows) == len(lines) and set(map(len, rows)) == {len(layout.names)} else None


def is_special(text: "pa.Array", layout: Layout) -> "pa.Array":
    """Which lines cannot be cut at the delimiter alone."""
    import pyarrow as pa
    import pyarrow.compute as pc

    special = pc.match_substring(text, '"') if layout.quotes else pa.array([False]).take(pa.array([0] * len(text), pa.int32()))
    return pc.or_(special, pc.match_substring(text, "\\")) if layout.escape == "backslash" else special


def cut(text: "pa.Array", layout: Layout, wanted: "Sequence[str]") -> "pa.Table":
    """Lines that are not special, cut together: `wanted` columns, the `problem` of each line and, where there is one, the line as `raw`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    line = pc.replace_substring_regex(pc.utf8_trim(text, BLANKS), "[ \t]+", BLANK) if layout.delimiter == BLANK else text
    fields = pc.split_pattern(line, layout.delimiter)
    count, starts, width = pc.list_value_length(fields), fields.offsets[:-1], len(layout.names)
    sound, nothing = pc.equal(count, width), pa.scalar(None, pa.string())
    columns = {
        name: fields.values.take(pc.if_else(sound, pc.add(starts, pa.scalar(layout.names.index(name), pa.int32())), None))
        for name in wanted
    }
    how_many = pc.if_else(pc.equal(count, 1), "1 field", pc.binary_join_element_wise(count.cast(pa.string()), "fields", " "))
    problem = pc.if_else(sound, nothing, pc.binary_join_element_wise(how_many, f"instead of {width}", " "))
    raw = pc.if_else(sound, nothing, pc.utf8_slice_codeunits(text, 0, RAW_LIMIT))
    return pa.table({**columns, "problem": problem, "raw": raw})
