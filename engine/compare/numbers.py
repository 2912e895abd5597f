"""Numbers and times in sentences and tables: three significant digits, a dash for what is missing."""

import math

DASH = "–"


def missing(value: object) -> bool:
    """None, NaN and infinity are shown as a dash, never as 0."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def decimals(value: float, digits: int = 3) -> int:
    """Places behind the point that give a number some significant digits."""
    if value == 0 or not math.isfinite(value):
        return digits
    rounded = float(f"{abs(value):.{digits - 1}e}")  # 0.0999999 is 0.100
    return min(6, max(0, digits - 1 - math.floor(math.log10(rounded))))


def number(value: float | None, places: int | None = None) -> str:
    """Three significant digits, or a fixed number of places where a column must line up."""
    if missing(value) or value is None:
        return DASH
    return f"{value:,.{decimals(value) if places is None else places}f}".replace("-", "−")


def places_of(half: float) -> int:
    """Places that half of an interval supports: its first digit, and the one behind a 1 (Particle Data Group, "Review", section 5.3)."""
    if not half > 0 or not math.isfinite(half):
        return 3
    first = f"{half:.1e}"
    return min(9, max(0, -int(first.split("e")[1]) + (first[0] == "1")))


def with_half(value: float, half: float | None) -> str:
    """0.012 ± 0.004: a value with as many places as half of its interval supports; three digits where there is none."""
    if half is None or missing(half) or half == 0:
        return number(value)
    return f"{number(value, places_of(half))} ± {number(half, places_of(half))}"


def signed_with_half(value: float, half: float | None) -> str:
    """+0.012 ± 0.004."""
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + with_half(abs(value), half)


def rough(value: float) -> str:
    """A count of which the first two digits are worth saying: 4,100."""
    digits = max(0, len(str(int(value))) - 2)
    return f"{round(value, -digits):,.0f}"


def count(value: float | None) -> str:
    """A whole number with separators."""
    return DASH if missing(value) or value is None else f"{int(value):,}"


def percent(share: float | None) -> str:
    """A share as a percentage; small ones keep a digit, and one row of millions is not none."""
    if missing(share) or share is None:
        return DASH
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < abs(share) < 0.1 else f"{100 * share:,.0f} %"


def signed(value: float | None, places: int | None = None) -> str:
    """A difference with its sign, none where it rounds to nothing; a dash for a missing one."""
    if missing(value) or value is None:
        return DASH
    shown = number(abs(value), places)
    return shown if not shown.strip("0.,") else ("+" if value > 0 else "−") + shown


def duration(seconds: float | None) -> str:
    """4.8 s, 3 min 5 s, 2 h 10 min."""
    if missing(seconds) or seconds is None:
        return DASH
    if seconds < 60:
        return f"{number(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
