"""Times of a table become unix seconds. The guess of a table, the preview and Spark's executors all read dates with this code.

A unit is one of `UNITS` or a pattern of strptime, such as "%d.%m.%Y %H:%M".
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Dates = Literal["iso", "day/month/year", "month/day/year", "words"]
TimeUnit = Literal[
    "s", "ms", "us", "ns", "days", "excel", "magnitude", "order", "lines", "iso", "day/month/year", "month/day/year", "words"
]  # fmt: skip
UNITS: tuple[str, ...] = TimeUnit.__args__  # type: ignore[attr-defined]
DATES: tuple[Dates, ...] = Dates.__args__  # type: ignore[attr-defined]
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DAY_S, EXCEL_EPOCH = 86_400, 25_569  # Excel counts days from the end of 1899, which is so many before 1970

SEPARATOR = r"(?:\s*[T,:]\s*|\s+)"  # between a date and a time of day
CLOCK = (
    r"(?P<hour>\d{1,2})(?:[:.]?(?P<minute>\d\d)(?:[:.]?(?P<second>\d\d)(?:[.,:](?P<fraction>\d{1,12}))?)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
)
ZONE = r"(?P<zone>[zZ]|(?:UTC|GMT)?[+-]\d\d:?(?:\d\d)?|[A-Z]{2,4})?(?:\s[A-Z]{3,4})?"
END = rf"(?:{SEPARATOR}{CLOCK})?\s*{ZONE}\s*$"
WEEKDAY, MONTH, NTH = r"(?:[A-Za-z]{3,9}\.?,?\s+)?", r"(?P<name>[A-Za-z]{3,9})\.?", r"(?:st|nd|rd|th)?"
FORMS: dict[str, tuple[str, ...]] = {
    "iso": (
        rf"^\s*(?P<year>\d{{4}})[-/.年](?P<month>\d{{1,2}})[-/.月](?P<day>\d{{1,2}})日?{END}",
        rf"^\s*(?P<year>\d{{4}})-?(?P<month>\d\d)?-?(?P<day>\d\d)?{END}",
    ),
    "day/month/year": (rf"^\s*(?P<day>\d{{1,2}})[-/. ]\s*(?P<month>\d{{1,2}})(?:[-/.]|,?\s+)(?P<year>\d{{4}}|\d\d){END}",),
    "month/day/year": (rf"^\s*(?P<month>\d{{1,2}})[-/. ]\s*(?P<day>\d{{1,2}})(?:[-/.]|,?\s+)(?P<year>\d{{4}}|\d\d){END}",),
    "words": (
        rf"^\s*{WEEKDAY}(?P<day>\d{{1,2}}){NTH}[-/.\s]+{MONTH}[-/.,\s]+(?P<year>\d{{4}}|\d\d){END}",
        rf"^\s*{WEEKDAY}{MONTH}\s+(?P<day>\d{{1,2}}){NTH},?\s+(?P<year>\d{{4}}){END}",
        rf"^\s*{WEEKDAY}{MONTH}\s+(?P<day>\d{{1,2}})\s+{CLOCK}\s+(?:{ZONE}\s+)?(?P<year>\d{{4}})\s*$",
        rf"^\s*(?P<year>\d{{4}})[-/.\s]+{MONTH}[-/.\s]+(?P<day>\d{{1,2}}){END}",
    ),
}
LONG = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
MONTHS = {**{name: k for k, name in enumerate(LONG, 1)}, **{name[:3]: k for k, name in enumerate(LONG, 1)}, "sept": 9}
HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}  # RFC 2822, section 4.3
ZONES = {"": 0, "Z": 0, "z": 0, "UTC": 0, "GMT": 0, "UT": 0} | {name: 3600 * hours for name, hours in HOURS.items()}
DIGITS = re.compile(r"(%[YymdHMSj])+")  # a pattern that reads digits alone


def is_pattern(unit: str) -> bool:
    return "%" in unit


def check_unit(unit: str) -> str:
    """The unit, when it is one of `UNITS` or a pattern that names a year.

    Raises:
        ValueError: it is neither.
    """
    if unit in UNITS:
        return unit
    if not is_pattern(unit):
        raise ValueError(f"time_unit is {unit!r}; choose {', '.join(UNITS)}, or a pattern such as '%d.%m.%Y %H:%M'.")
    moment = datetime(2024, 12, 31, 13, 5, 9)
    try:
        if datetime.strptime(moment.strftime(unit), unit).year != moment.year:
            raise ValueError("it names no year")
    except ValueError as error:
        raise ValueError(
            f"time_unit is the pattern {unit!r}, which reads no date ({error}); write one such as '%d.%m.%Y %H:%M'."
        ) from error
    return unit


def seconds(column: "pa.ChunkedArray | pa.Array", unit: str) -> np.ndarray:
    """Dates in text as unix seconds, in UTC unless they name a zone.

    Args:
        column: text.
        unit: one of `DATES`, or a pattern of strptime.

    Returns:
        float64; nan for what is null or no date of this form.
    """
    import pyarrow as pa

    text = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    text = text.cast(pa.string())
    if is_pattern(unit):
        return _by_pattern(text, unit)
    moments = np.full(len(text), np.nan)
    left = np.arange(len(text))
    for form in FORMS[unit]:
        if not len(left):
            break
        moments[left] = _by_form(text if len(left) == len(text) else text.take(pa.array(left)), form)
        left = np.flatnonzero(np.isnan(moments))
    return moments


def since_1970(numbers: np.ndarray, unit: str) -> np.ndarray:
    """Numbers of a unit as unix seconds; an order stays as it is."""
    if unit in ("days", "excel"):
        return np.round((numbers - EXCEL_EPOCH * (unit == "excel")) * DAY_S, 3)
    size = np.abs(np.nan_to_num(numbers))
    of_size = np.select([size >= 1e17, size >= 1e14, size >= 1e11], [10**9, 10**6, 10**3], 1)
    seconds_: np.ndarray = numbers / (of_size if unit == "magnitude" else PER_SECOND.get(unit, 1))
    return seconds_


def moments(values: Sequence[str], unit: str) -> list[float | None]:
    """`seconds` of a few values; None for what is no date of this form."""
    import pyarrow as pa

    found: list[float] = seconds(pa.array(values, pa.string()), unit).tolist()
    return [None if moment != moment else moment for moment in found]


def _by_pattern(text: "pa.Array", pattern: str) -> np.ndarray:
    import pandas as pd
    import pyarrow.compute as pc

    if DIGITS.fullmatch(pattern):  # a data frame with gaps turned 20200825 into 20200825.0
        text = pc.replace_substring_regex(text, r"\.0+\s*$", "")
    moments = pd.to_datetime(pd.Series(text.to_pylist(), dtype=object).str.strip(), format=pattern, utc=True, errors="coerce")
    return np.where(moments.isna(), np.nan, moments.to_numpy("datetime64[us]").astype(np.int64) / 10**6)


def _by_form(text: "pa.Array", form: str) -> np.ndarray:
    """Unix seconds of what fits a regular expression with named parts; nan for the rest."""
    import pyarrow.compute as pc

    parts = pc.extract_regex(text, form)
    fits = pc.is_valid(parts).to_numpy(zero_copy_only=False)
    named = {field.name: parts.field(k) for k, field in enumerate(parts.type)}
    year = _numbers(named["year"], 1)
    short = pc.fill_null(pc.equal(pc.utf8_length(named["year"]), 2), False).to_numpy(zero_copy_only=False)
    year = np.where(short, year + np.where(year < 69, 2000, 1900), year)  # as POSIX reads two digits
    month = _months(named["name"]) if "name" in named else _numbers(named["month"], 1)
    day, hour = _numbers(named["day"], 1), _numbers(named["hour"], 0)
    minute, second = _numbers(named["minute"], 0), _numbers(named["second"], 0)
    half = pc.fill_null(pc.utf8_lower(pc.utf8_slice_codeunits(named["half"], 0, 1)), "").to_numpy(zero_copy_only=False)
    fits &= (half == "") | ((hour >= 1) & (hour <= 12))
    hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
    fits &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 60)
    first = np.where(fits, year - 1970, 0).astype("datetime64[Y]").astype("datetime64[M]") + np.where(fits, month - 1, 0)
    date = first.astype("datetime64[D]") + np.where(fits, day - 1, 0)
    fits &= date.astype("datetime64[M]") == first  # 31 February is no date
    of_day = 3600.0 * hour + 60 * minute + second + _fraction(named["fraction"]) - _offset(named["zone"])
    return np.where(fits, date.astype(np.int64) * DAY_S + of_day, np.nan)


def _numbers(digits: "pa.Array", absent: int) -> np.ndarray:
    """int64; `absent` where there is nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.if_else(pc.fill_null(pc.equal(digits, ""), True), str(absent), digits)
    return filled.cast(pa.int64()).to_numpy(zero_copy_only=False)


def _fraction(digits: "pa.Array") -> np.ndarray:
    """0.25 for "25"; 0 where there is nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("0.", pc.fill_null(digits, ""), "0", "").cast(pa.float64()).to_numpy(zero_copy_only=False)


def _months(names: "pa.Array") -> np.ndarray:
    """1 to 12 for English names of months and their first three letters; 0 for other words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    place = pc.fill_null(pc.index_in(pc.utf8_lower(names), pa.array(list(MONTHS))), -1).to_numpy(zero_copy_only=False)
    return np.array([*MONTHS.values(), 0])[place]


def _offset(zones: "pa.Array") -> np.ndarray:
    """Seconds east of UTC; nan for a zone that is not known."""
    import pyarrow.compute as pc

    known = pc.dictionary_encode(pc.fill_null(zones, ""))
    each = np.array([_offset_of(zone) for zone in known.dictionary.to_pylist()], np.float64)
    return each[known.indices.to_numpy(zero_copy_only=False)]


def _offset_of(zone: str) -> float:
    found = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d\d):?(\d\d)?", zone)
    if found is None:
        return ZONES.get(zone, np.nan)
    return (-1 if found[1] == "-" else 1) * (3600 * int(found[2]) + 60 * int(found[3] or 0))
