"""The unit of times in the head of a table: dates are read by the code that reads them later, so that the guess can keep its word."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from workers.prepare import moments

NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
FORMS = ("iso", "day/month/year", "month/day/year", "words")
SIZES: tuple[tuple[float, float, str], ...] = ((1e8, 4.2e9, "s"), (1e11, 4.2e12, "ms"), (1e14, 4.2e15, "us"), (1e17, 4.2e18, "ns"))
SIZE_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
COMPACT = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d"}  # digits of a date written as one number
SHORT = {8: ("%y%m%d%H",), 6: ("%y%m%d", "%Y%m")}  # may as well be numbers
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()
ENOUGH, MOST = 0.9, 0.8  # the share of values to be dates at all; to be dates, where some are not
DAY_FIRST, MONTH_FIRST = "day/month/year", "month/day/year"
EXCEL = (20_000, 60_000)  # days: the years 1954 to 2064


class Time(NamedTuple):
    """unit: of times, None while it is open. question: what a person has to decide, None when nothing. options: units to propose."""

    unit: str | None
    question: str | None = None
    options: tuple[str, ...] = ()


def fitting(values: Sequence[str], unit: str) -> list[bool]:
    """Which values are dates of this form."""
    return [moment is not None for moment in moments(values, unit)]


def seconds_of(values: Sequence[str], unit: str) -> list[float | None]:
    """Times as unix seconds; None where one cannot be read, or where the unit is none by itself, such as magnitude."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.get(unit)
    if per_second is not None:
        return [float(value) / per_second if NUMBER.fullmatch(value) else None for value in values]
    if unit in FORMS or "%" in unit:
        return moments(values, unit)
    return [None] * len(values)


def numbers_or_dates(values: Sequence[str]) -> list[bool]:
    """Which values are plain numbers or dates."""
    found = [NUMBER.fullmatch(value) is not None for value in values]
    for unit in FORMS:
        if all(found):
            break
        found = [one or fits for one, fits in zip(found, fitting(values, unit), strict=True)]
    return found


def dates_of(values: Sequence[str]) -> str | None:
    """The form of text that says dates, almost all of it; None for other text."""
    if not values or not any(character.isdigit() for character in values[0]):
        return None
    for unit in FORMS:
        if sum(fitting(values[:20], unit)) and sum(fitting(values, unit)) >= ENOUGH * len(values):
            return unit
    return None


def time_of(values: Sequence[str]) -> Time:
    """The unit of timestamps, and a question where some do not fit or the unit is unclear."""
    if not values:
        return Time(None, "The column is empty in the first rows; choose the unit of its times.")
    plain = [NUMBER.fullmatch(value) is not None for value in values]
    if sum(plain) >= ENOUGH * len(values):
        return _but_for(_number_unit([value for value, fit in zip(values, plain, strict=True) if fit]), values, plain)
    first, last = fitting(values, DAY_FIRST), fitting(values, MONTH_FIRST)
    if max(sum(first), sum(last)) >= MOST * len(values):
        return _order_of_day_and_month(values, first, last)
    for unit in ("iso", "words"):
        fits = fitting(values, unit)
        if sum(fits) >= MOST * len(values):
            return _but_for(Time(unit), values, fits)
    odd = next(value for value in values if not NUMBER.fullmatch(value))
    return Time(
        None,
        f"Times such as {odd[:40]!r} are in no known form: type their pattern, such as %d.%m.%Y %H:%M, or write them as ISO 8601 "
        "(2024-01-31 18:00).",
    )


def _but_for(time: Time, values: Sequence[str], fits: Sequence[bool]) -> Time:
    """The unit, with a question when some values do not fit it."""
    odd = [value for value, fit in zip(values, fits, strict=True) if not fit]
    if time.question or not odd or time.unit is None:
        return time
    good = next(value for value, fit in zip(values, fits, strict=True) if fit)
    text = f"{good!r} and most others can be read as times, but not {odd[0][:40]!r}: such rows are set aside."
    return time._replace(question=text, options=(time.unit,))


def _order_of_day_and_month(values: Sequence[str], first: Sequence[bool], last: Sequence[bool]) -> Time:
    """Which comes first: settled by a day above 12, else asked with an example."""
    day_only = [value for value, day, month in zip(values, first, last, strict=True) if day and not month]
    month_only = [value for value, day, month in zip(values, first, last, strict=True) if month and not day]
    if day_only and month_only:
        text = f"{day_only[0]!r} has its day first, {month_only[0]!r} its month; choose one, and rows that do not fit are set aside."
        return Time(None, text, (DAY_FIRST, MONTH_FIRST))
    if day_only or month_only:
        return _but_for(Time(DAY_FIRST if day_only else MONTH_FIRST), values, first if day_only else last)
    both = list(zip(values, moments(values, DAY_FIRST), moments(values, MONTH_FIRST), strict=True))
    example, day, month = next((one for one in both if one[1] is not None and one[1] != one[2]), next(one for one in both if one[1]))
    text = f"{example!r} can be read in more than one way: {_day(day)} (day first) or {_day(month)} (month first). Choose."
    return Time(None, text, (DAY_FIRST, MONTH_FIRST))


def _day(moment: float | None) -> str:
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment or 0)
    return f"{date.day} {date:%B %Y}"


def _number_unit(values: Sequence[str]) -> Time:
    compact = _compact(values)
    if compact:
        return compact
    numbers = [abs(float(value)) for value in values]
    units = Counter(next((unit for low, high, unit in SIZES if low <= number < high), None) for number in numbers)
    known = [unit for unit in units if unit]
    largest, smallest = max(numbers), min(numbers)
    span = f"Values from {smallest:.0f} to {largest:.0f}"
    if len(known) == 1 and units[None] <= 0.1 * len(numbers):
        few = f"{span} are not all times since 1970; check that the unit is right." if units[None] else None
        return Time(known[0], few, (known[0],))
    if len(known) > 1:
        names = " and ".join(sorted(SIZE_WORDS[unit] for unit in known))
        return Time(
            None,
            f"The column mixes {names} ({smallest:.0f} to {largest:.0f}); choose magnitude to decide value by value, or one unit.",
            ("magnitude", *known),
        )
    if largest < 1e8:
        return _small(values, smallest, largest, span)
    return Time(None, f"Some values are times since 1970 and some are not ({smallest:.0f} to {largest:.0f}); choose their unit.")


def _small(values: Sequence[str], smallest: float, largest: float, span: str) -> Time:
    if EXCEL[0] <= smallest and largest <= EXCEL[1]:
        text = (
            f"{span} may be days, as Excel counts them ({values[0]} is {_day((float(values[0]) - 25_569) * 86_400)}), or a count; choose."
        )
        return Time(None, text, ("excel", "days", "order"))
    text = f"{span} are too small for times since 1970; choose order when they only order the rows."
    return Time(None, text, ("order",))


def _compact(values: Sequence[str]) -> Time | None:
    """Dates written as one number, such as 20240131, 20240131.0 or 14102100; None for other numbers."""
    digits = [re.sub(r"\.0+$", "", value.strip()) for value in values]
    width = len(digits[0])
    if any(len(one) != width or not one.isdigit() for one in digits):
        return None
    fits = [unit for unit in (COMPACT.get(width), *SHORT.get(width, ())) if unit and _all_read(digits, unit)]
    if not fits or fits[0] == COMPACT.get(width):
        return Time(fits[0]) if fits else None
    read = ", ".join(f"{unit} makes it {_minute(digits[0], unit)}" for unit in fits)
    return Time(None, f"Values such as {digits[0]} look like dates written as one number: {read}. Choose, or say that it is a count.",
                (*fits, "order"))  # fmt: skip


def _all_read(digits: Sequence[str], unit: str) -> bool:
    return all(moment is not None and EARLIEST <= moment <= LATEST for moment in moments(digits, unit))


def _minute(value: str, unit: str) -> str:
    return f"{datetime.fromtimestamp(moments([value], unit)[0] or 0, UTC):%Y-%m-%d %H:%M}"
