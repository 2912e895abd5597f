"""Cells of a column become what they mean: values that mean missing are none, and numbers are written with a point."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Numbers = Literal["plain", "decimal_comma", "thousands"]

# Words that other tools write for a value that is not there, in lower case.
MISSING_WORDS = (
    "na", "n/a", "n.a.", "nan", "nat", "null", "(null)", "none", "(none)", "nil", "undefined", "unknown", "unk", "missing", "not available",
    "not set", "(not set)", r"\n", "<na>", "<null>", "#n/a", "-", "--", "?",
)  # fmt: skip
SPACES, CURRENCY = " \u00a0\u2009\u202f", "[$€£¥₹]?"
AROUND = rf"[{SPACES}\t]*"
START, END = rf"^{AROUND}{CURRENCY}{AROUND}[+-]?{CURRENCY}{AROUND}", rf"{AROUND}{CURRENCY}{AROUND}$"
# A group of thousands never begins with 0: 0.125 is a number with a point, whatever else the column holds.
FORMS: dict[Numbers, str] = {
    "thousands": rf"{START}(?:[1-9]\d{{0,2}}(?:[,'’{SPACES}]\d{{2,3}})*[,'’{SPACES}]\d{{3}}|\d+)(?:\.\d+)?{END}",
    "decimal_comma": rf"{START}(?:[1-9]\d{{0,2}}(?:[.'’{SPACES}]\d{{3}})+|\d+)(?:,\d+)?{END}",
}


def without_missing(column: "pa.Array", missing: Sequence[str]) -> "pa.Array":
    """Text that is null where it is one of `missing`, blanks around it aside."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not missing:
        return column
    named = pa.array([value.strip() for value in missing], pa.string())
    return pc.if_else(pc.is_in(pc.utf8_trim_whitespace(column), named), pa.scalar(None, pa.string()), column)


def plain_numbers(column: "pa.Array", numbers: Numbers) -> "pa.Array":
    """Text with numbers such as 1.234,5 (decimal_comma) or 1,234.5 and $1,234 (thousands) as 1234.5; other text stays as it is."""
    import pyarrow.compute as pc

    if numbers == "plain":
        return column
    mark = "," if numbers == "decimal_comma" else "."
    digits = pc.replace_substring(pc.replace_substring_regex(column, rf"[^0-9{mark}+-]", ""), mark, ".")
    return pc.if_else(pc.match_substring_regex(column, FORMS[numbers]), digits, column)
