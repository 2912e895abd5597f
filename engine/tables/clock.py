"""Which column is the time of the interaction, by its name and first values; other times are no features."""

from engine.tables.meaning import Change, Found, Meaning, Open, ask, example, listed, one_of
from engine.tables.names import AMOUNT, DAYTIME, DONE, ID, ITEM, ITEM_SIDE, LATER, NOT_WHEN, TIME, USER, USER_SIDE
from engine.tables.values import Column
from engine.tables.when import Time, seconds_of, time_of

EARLIEST = 6e8  # unix seconds of 1989: smaller numbers without a name that says time are rather ids or amounts
READ, SAME, DAY = 0.9, 0.98, 86_400  # shares of rows; seconds


def times(columns: Open, table: str) -> Found:
    """The time, of several the one that can be read and says when it happened; the others are ignored, or asked about."""
    if table != "interactions":
        return Found([])
    named = {k: time_of(c.values) for k, c in enumerate(columns) if c and _named(c)}
    named = {k: time for k, time in named.items() if not _daytime(columns[k]) or time.unit or set(time.options) - {"order"}}
    near = named or {k: time_of(c.values) for k, c in enumerate(columns) if c and c.type == "date" and not c.words & NOT_WHEN}
    if not near:
        return _by_values(columns)
    now = {k: time for k, time in near.items() if not _later(columns[k])}
    if not now:
        return Found([(k, _ignored("a time that may be known only afterwards")) for k in near])
    best = max(now, key=lambda k: (now[k].question is None, now[k].unit is not None, -len(_extra(columns[k])), -k))
    taken = [(k, _ignored("a time that may be known only afterwards", time)) for k, time in near.items() if k not in now]
    taken += [(k, _ignored("another time, or the same moment again", now[k])) for k in now if k != best]
    taken += [
        (k, _ignored("dates are not a feature"))
        for k, c in enumerate(columns)
        if c and c.type == "date" and k not in near and c.words & TIME
    ]
    rivals = [k for k in now if k != best and _differs(columns[best], now[best], columns[k], now[k])]
    why = "its name or its values say time"
    questions = []
    if rivals and (asked := [c for k in (best, *rivals) if (c := columns[k])]):
        text = f"{listed([c.name for c in asked])} hold times that differ. Which one says when the interaction happened?"
        questions = [one_of("time", text, "timestamp", asked)]
    return Found([(best, _time(now[best], not questions, why)), *taken], questions)


def _named(column: Column) -> bool:
    words = column.words
    said = words & TIME and not words & (USER_SIDE | ITEM_SIDE | NOT_WHEN) and not words <= ID
    return bool(said or (words & {"hour", "week", "month"} and words <= DAYTIME | {"event"})) and column.type in (
        "integer", "number", "date", "text", "list", "empty",
    )  # fmt: skip


def _daytime(column: Column | None) -> bool:
    """Whether the name says a part of a time, such as hour, or a time of something else: dates are a time, small numbers are not."""
    return column is not None and not (column.words & TIME) - DAYTIME


def _later(column: Column | None) -> bool:
    """Whether a time is known only afterwards: by its name, where some rows have none."""
    if column is None or not column.words & (LATER | DONE):
        return False
    blank = column.rows - len(column.values) + sum(number <= 0 for number in column.floats)
    return bool(column.words & LATER - {"purchase"}) or blank > 0


def _extra(column: Column | None) -> set[str]:
    return set(column.words - TIME - {"event", "interaction", "review", "rating"}) if column else set()


def _differs(best: Column | None, of_best: Time, other: Column | None, of_other: Time) -> bool:
    """Whether both can be read as times and are not the same day. A time that cannot be read is no rival."""
    if best is None or other is None or of_other.unit is None or of_other.unit == "order":
        return False
    if of_best.unit is None:
        return of_best.question is not None
    pairs = zip(seconds_of(best.every, of_best.unit), seconds_of(other.every, of_other.unit), strict=True)
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    if len(both) < READ * best.rows:
        return len(both) > 0
    return sum(abs(one - two) <= DAY for one, two in both) < SAME * len(both)


def _by_values(columns: Open) -> Found:
    """A column whose numbers can be times, though its name does not say so; never an id."""
    near = {
        k: time_of(c.values)
        for k, c in enumerate(columns)
        if c and c.type == "integer" and c.distinct > 1 and not c.words & (ID | USER | ITEM | AMOUNT) and _recent(c)
    }
    fitting = [k for k, time in near.items() if time.unit is not None]
    if not fitting or (column := columns[fitting[0]]) is None:
        return Found([])
    text = f"The numbers in {column.name}{example(column)} can be read as times. Are they the time of the interaction?"
    yes, no = [Change(column.name, "timestamp")], [Change(column.name, "ignore")]
    question = ask("time", text, [column], {"Yes": yes, "No: they are not used": no})
    return Found([(fitting[0], _time(near[fitting[0]], False, "its values can be times"))], [question])


def _recent(column: Column) -> bool:
    return all(abs(number) >= EARLIEST for number in column.floats)


def _time(time: Time, certain: bool, why: str) -> Meaning:
    return Meaning(
        "timestamp", "context", certain and time.question is None, why, unit=time.unit, ambiguous=time.question, units=time.options
    )


def _ignored(why: str, time: Time | None = None) -> Meaning:
    """Not used; with its unit, for a person who takes it as the time after all."""
    if time is None:
        return Meaning("ignore", "context", True, why)
    return Meaning("ignore", "context", True, why, unit=time.unit, ambiguous=time.question, units=time.options)
