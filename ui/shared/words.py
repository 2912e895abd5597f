"""Numbers, times and text from data in readable form. Text from data goes through `md` or `html` before it is shown."""

import html as _html
import re
from datetime import UTC, datetime

from engine.compare import DASH as DASH
from engine.compare import count as count
from engine.compare import decimals as decimals
from engine.compare import duration as duration
from engine.compare import missing as missing
from engine.compare import number as number
from engine.compare import percent as percent
from engine.compare import short_names as short_names
from engine.compare import signed as signed
from engine.specs import mask

DIRECTIONS = {
    "higher": ("↑", "Higher is better."),
    "lower": ("↓", "Lower is better."),
    "one": ("→ 1", "Closest to 1 is best."),
}  # of a metric: its arrow, and what the arrow means
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=\"'@/])")
_JOINER = "\u2060"  # invisible; stops what is replaced after the markdown is parsed: :name:, -->, http://, www., a@b
_REPLACED_LATE = re.compile(r"(?<=:)(?=[\w/])|(?<=[-=<>])(?=[-=<>])|(?<=www)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)


def plain(text: object, limit: int = 160) -> str:
    """Any value as one line of at most `limit` characters, without passwords and keys."""
    line = " ".join(mask(str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def md(text: object, limit: int = 160) -> str:
    """Text that Streamlit's markdown shows as it is: no formatting, link, formula, icon or colour."""
    line = _REPLACED_LATE.sub(_JOINER, plain(text, limit))
    return _PUNCTUATION.sub(r"\\\1", line)


def html(text: object, limit: int = 160) -> str:
    """Text escaped for HTML."""
    return _html.escape(plain(text, limit), quote=True)


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


def field_label(name: str) -> str:
    """embedding_dim -> Embedding dim."""
    return name.replace("_", " ").strip().capitalize()


def day(seconds: int) -> str:
    """The day of a moment in unix seconds; years outside the calendar are shown as seconds."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds:,} s"
