"""Numbers, times and text from data in readable form. Text from data goes through `md` or `html` before it is shown."""

import html as _html
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

DASH = "–"
DIRECTIONS = {
    "higher": ("↑", "Higher is better."),
    "lower": ("↓", "Lower is better."),
    "one": ("→ 1", "Closest to 1 is best."),
}  # of a metric: its arrow, and what the arrow means
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=\"'@/])")
_JOINER = "\u2060"  # invisible; stops what is replaced after the markdown is parsed: :name:, -->, http://, www., a@b
_REPLACED_LATE = re.compile(r"(?<=:)(?=[\w/])|(?<=[-=<>])(?=[-=<>])|(?<=www)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)


def plain(text: object, limit: int = 160) -> str:
    """Any value as one line of at most `limit` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def md(text: object, limit: int = 160) -> str:
    """Text that Streamlit's markdown shows as it is: no formatting, link, formula, icon or colour."""
    line = _REPLACED_LATE.sub(_JOINER, plain(text, limit))
    return _PUNCTUATION.sub(r"\\\1", line)


def html(text: object, limit: int = 160) -> str:
    """Text escaped for HTML."""
    return _html.escape(plain(text, limit), quote=True)


def missing(value: object) -> bool:
    """None, NaN and infinity are shown as a dash, never as 0."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def decimals(value: float, digits: int = 3) -> int:
    """Decimal places that give a number some significant digits."""
    if value == 0 or not math.isfinite(value):
        return digits
    rounded = float(f"{abs(value):.{digits - 1}e}")  # 0.0999999 is 0.100
    return min(6, max(0, digits - 1 - math.floor(math.log10(rounded))))


def number(value: float | None, places: int | None = None) -> str:
    """Three significant digits, or a fixed number of decimal places to align a column."""
    if missing(value) or value is None:
        return DASH
    return f"{value:,.{decimals(value) if places is None else places}f}".replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with separators."""
    return DASH if missing(value) or value is None else f"{int(value):,}"


def percent(share: float | None) -> str:
    """A share as a percentage; small ones keep a decimal, and a tiny share is not rounded to zero."""
    if missing(share) or share is None:
        return DASH
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if 0 < abs(share) < 0.1 else f"{100 * share:.0f} %"


def signed(value: float | None, places: int | None = None) -> str:
    """A difference with its sign, without a sign where it rounds to zero; a dash where it is missing."""
    if missing(value) or value is None:
        return DASH
    digits = number(abs(value), places)
    return digits if not digits.strip("0.,") else ("+" if value > 0 else "−") + digits


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


def left(seconds: float | None) -> str:
    """The remaining time, coarsely rounded; empty when it is unknown."""
    if missing(seconds) or seconds is None:
        return ""
    if seconds < 50:
        return f"{max(5, 5 * round(seconds / 5))} s left"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min left"
    return f"{seconds / 3600:.1f} h left"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """A moment relative to now: just now, 5 min ago, 3 h ago, 2 days ago, then the date."""
    if moment is None:
        return DASH
    elapsed = ((now or datetime.now(UTC)) - moment).total_seconds()
    if elapsed < 45:
        return "just now"
    if elapsed < 3600:
        return f"{max(1, round(elapsed / 60))} min ago"
    if elapsed < 86_400:
        return f"{round(elapsed / 3600)} h ago"
    days = round(elapsed / 86_400)
    if days < 14:
        return f"{days} day{'s' if days > 1 else ''} ago"
    return f"{moment:%Y-%m-%d}"


def absolute(moment: datetime | None) -> str:
    """A moment in full, in the machine's own time zone."""
    return DASH if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def quantity(value: float | None, unit: str) -> str:
    """A cost in its unit: seconds become minutes, bytes megabytes, counts get separators."""
    if missing(value) or value is None:
        return DASH
    if unit in ("s", "seconds"):
        return duration(value)
    if unit in ("B", "bytes"):
        return size(value)
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return number(value)


def size(amount: float) -> str:
    """Bytes as kB, MB, GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} B" if unit == "B" else f"{number(amount)} {unit}"


def short(value: float | None, places: int) -> str:
    """A spread beside the number that it belongs to: .011 for 0.011."""
    return number(value, places).removeprefix("0") if places else number(value, places)


def short_names(titles: Mapping[str, str]) -> dict[str, str]:
    """Letter -> a short name: the first part of the title, and those further parts that not all titles with that first part share.

    Two-tower · softmax · dim 64, Two-tower · pointwise · dim 64, EASE · tuned -> Two-tower · softmax, Two-tower · pointwise, EASE
    """
    parts = {letter: title.split(" · ") for letter, title in titles.items()}
    names = {}
    for letter, (first, *rest) in parts.items():
        alike = [other for other in parts.values() if other[0] == first]
        names[letter] = " · ".join([first, *(part for part in rest if not all(part in other for other in alike))])
    return names


def field_label(name: str) -> str:
    """embedding_dim -> Embedding dim."""
    return name.replace("_", " ").strip().capitalize()


def day(seconds: int) -> str:
    """The day of a moment in unix seconds; years outside the calendar are shown as seconds."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds:,} s"
