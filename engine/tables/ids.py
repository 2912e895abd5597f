"""Which columns are the ids of users and items, by their names and first values."""

import re
from collections import Counter
from collections.abc import Sequence

from engine.tables.absent import absent_values
from engine.tables.meaning import Answer, Change, Found, Meaning, Open, Question, ask, example, listed, one_of
from engine.tables.names import ID, ITEM, ORDER, SESSION, TITLE, USER
from engine.tables.specs import Role
from engine.tables.values import Column

OWN = {"uid", "iid", "aid", "asin", "isbn", "sku", "stockcode", "upc", "ean", "gtin", "msno"}  # names that say id by themselves
SHOWN_AS = {"review", "name", "nick", "nickname", "screen", "display", "alias", "title", "original", "short", "full"}
GAPS, BLANKS = 0.05, 0.5  # the share of rows with NA or -1 for a user, and with nothing, from which it is asked
FEW_ROWS = 20  # below which shares of rows say nothing
LIST = re.compile(r"[A-Za-z]*\d+(-\d+)?([ ,;|][A-Za-z]*\d+(-\d+)?)+|[A-Za-z]+\d+-[01]")  # ids in a cell, such as N55689-1 N35729-0


def ids(columns: Open, table: str) -> Found:
    """The user and the item; a question where several columns may be one, or where a column is full of gaps."""
    taken, questions = list[tuple[int, Meaning]](), list[Question]()
    for role, nouns in (("user", USER), ("item", ITEM)):
        if table in ("interactions", f"{role}s"):
            found = _id(columns, role, nouns, table)  # type: ignore[arg-type]
            taken += found.taken
            questions += found.questions
    return Found(taken, questions)


def _id(columns: Open, role: Role, nouns: set[str], table: str) -> Found:
    near = [k for k, c in enumerate(columns) if c and c.is_id_of(nouns)]
    near = [k for k in near if (c := columns[k]) and c.values] or near[:1]
    if role == "item" and table == "interactions" and (publisher := _publisher(columns, near)):
        return publisher
    if not near and table == f"{role}s":
        near = [k for k, c in enumerate(columns) if c and c.words and c.words <= ID]
    if not near and table == "interactions":
        return _user_stand_in(columns) if role == "user" else _item_stand_in(columns)
    if not near:
        return Found([])
    best = max(near, key=lambda k: _rank(columns[k], k))
    why = f"its name says {role}" + (f"; so do {len(near) - 1} others" if len(near) > 1 else "")
    questions = _which(role, [c for k in near if (c := columns[k])]) if len(near) > 1 else []
    if role == "user" and table == "interactions" and not questions and (column := columns[best]):
        questions = _gaps(column, columns)
    meaning = Meaning(role, role, not questions, why)  # type: ignore[arg-type]
    others = [(k, Meaning("ignore", role, False, f"another {role} id?")) for k in near if k != best]  # type: ignore[arg-type]
    return Found([(best, meaning), *others], questions)


def _rank(column: Column | None, place: int) -> tuple[bool, bool, float, int]:
    words = column.words if column else frozenset()
    full = 1 - len(column.nobody) / max(column.rows, 1) if column else 0.0
    return bool(words & (ID | OWN)), full > 1 - GAPS, "parent" in words, -place


def _which(role: Role, columns: Sequence[Column]) -> list[Question]:
    text = f"Several columns may be the {role}: {listed([c.name for c in columns])}. Which one is it?"
    return [one_of(role, text, role, columns, role)]  # type: ignore[arg-type]


def _gaps(user: Column, columns: Open) -> list[Question]:
    """A question where the user is missing in many rows, with columns that are complete."""
    gaps = user.nobody
    named = [value for value in gaps if value.strip()]
    if not gaps or (len(named) < GAPS * user.rows and len(gaps) < BLANKS * user.rows):
        return []
    value = max(set(gaps), key=gaps.count).strip()
    written = value or "blank"
    text = f"{user.name} is {written} in {len(gaps):,} of the first {user.rows:,} rows, so it does not tell who they are."
    whole = [c for c in columns if c and c is not user and _is_session(c) and not c.nobody]
    if not whole and absent_values(user.every, True):  # whether such a value means missing is asked in any case
        return []
    answers = {
        f"Take {c.name}{example(c)} as the user: it is complete": [Change(c.name, "user", "user"), Change(user.name, "ignore", "user")]
        for c in whole[:3]
    }
    alone = f"rows with {written} are one user, unless it means missing" if value else "rows without one are set aside"
    answers[f"Keep {user.name} as the user: {alone}"] = [Change(user.name, "user", "user")]
    answers["There is no user"] = [Change(user.name, "ignore", "user")]
    return [ask("user", text, [user, *whole[:3]], answers)]


def _is_session(column: Column) -> bool:
    """Whether a column can stand for a user: an id of a session or a device, and not the same one on most rows."""
    if not column.words & SESSION or not column.words <= SESSION | ID | USER or column.distinct < 2:
        return False
    return 2 * max(Counter(column.values).values()) <= column.rows or column.rows < FEW_ROWS


def _user_stand_in(columns: Open) -> Found:
    """Without an id of a user: a name of theirs, or a session."""
    named = [k for k, c in enumerate(columns) if c and c.type == "text" and c.words & USER and c.words <= USER | SHOWN_AS]
    if named:
        return Found([(named[0], Meaning("user", "user", True, "its name says user"))])
    near = [k for k, c in enumerate(columns) if c and _is_session(c)]
    if not near or (column := columns[near[0]]) is None:
        return Found([])
    text = f"No column says who. {column.name}{example(column)} can stand for the user: what is seen in it is taken to be one person's."
    yes, no = [Change(column.name, "user", "user")], [Change(column.name, "ignore")]
    question = ask("user", text, [column], {f"Take {column.name} as the user": yes, "There is no user": no})
    return Found([(near[0], Meaning("user", "user", False, "a session, for want of a user"))], [question])


def _item_stand_in(columns: Open) -> Found:
    """Without an id of an item: its title."""
    titles = [
        k for k, c in enumerate(columns) if c and c.type in ("text", "list") and c.words & TITLE and c.words <= TITLE | ITEM | SHOWN_AS
    ]
    if not titles or (column := columns[titles[0]]) is None:
        return Found([])
    text = f"No column is the id of an item. Does {column.name}{example(column)} tell which item it is?"
    answers = {"Yes: its text is the id": [Change(column.name, "item", "item")], "No: there is no item": [Change(column.name, "ignore")]}
    return Found([(titles[0], Meaning("item", "item", False, "a title, for want of an item id"))], [ask("item", text, [column], answers)])


def _publisher(columns: Open, near: Sequence[int]) -> Found | None:
    """In a log of advertising, an app beside sites is where an ad was shown, not the item."""
    if len(near) != 1 or (app := columns[near[0]]) is None or "app" not in app.words:
        return None
    if not any(c and c.words & {"site", "publisher"} and c.words & ID for c in columns):
        return None
    text = f"Is {app.name}{example(app)} the item that was shown, or the place where something else was shown, as the site is?"
    answers = {"The place: a feature of the context": [Change(app.name, "category")], "The item": [Change(app.name, "item", "item")]}
    meaning = Meaning("category", "context", False, "the place where something was shown, as the site beside it?")
    return Found([(near[0], meaning)], [ask("item", text, [app], answers)])


def about_missing(user: bool, item: bool) -> Question | None:
    """What a table without a user or an item cannot do, to be confirmed; None where it has both."""
    if user and item:
        return None
    if not user and not item:
        what, none = "user or item", "neither users nor items"
        cannot = "This is a click log: nobody's recommendations can be shown, models only predict the label of a row."
    elif item:
        what, none = "user", "no users"
        cannot = "Nobody's recommendations can be shown, and models know nobody's history."
    else:
        what, none = "item", "no items"
        cannot = "No recommendations can be shown, for there is nothing to recommend."
    text = f"No column is the {what}. {cannot} If a column is, choose it in the table below."
    return Question(key=f"missing: {what}", text=text, columns=(), answers=(Answer(text=f"Go on: the table has {none}"),))


def numbers_of_rows(columns: Open, header: bool) -> Found:
    """Columns that only number the rows: without a name, or called so."""
    taken = []
    for k, c in enumerate(columns):
        if c and c.values and ((c.counts_up and c.rows > 1) or (c.type == "integer" and c.distinct == c.rows)):
            nameless = c.nameless or c.name.lower() in NUMBERED
            if (header and nameless) or (not header and k == 0 and c.counts_up):
                taken.append((k, Meaning("ignore", "context", True, "it only numbers the rows")))
    return Found(taken)


NUMBERED = {"index", "level_0", "__index_level_0__", "row", "rownum", "row_number", "rowid", "row_id", "x", "x1"}  # as tools call them


def other_ids(columns: Open, table: str) -> Found:
    """Ids of orders, sessions, rows and the like, which are no features."""
    taken = []
    for k, c in enumerate(columns):
        if c and table == "interactions" and c.words & ORDER and c.words <= ORDER | SESSION | ID | USER and c.words & (ID | SESSION):
            taken.append((k, Meaning("ignore", "context", True, "an id of an order, a session or a row is no feature")))
    return Found(taken)


def by_place(columns: Sequence[Column], chosen: list[Meaning | None]) -> list[Question]:
    """Without a header: a small scale is the label, then the first two columns with many values are the user and the item."""
    open_ = [k for k, meaning in enumerate(chosen) if meaning is None and columns[k].values]
    has_outcome = any(m and m.role in ("label", "class", "action") for m in chosen)
    wide_log = len(columns) > 8 and columns[0].is_binary
    scale = [k for k in open_ if columns[k].is_number and 1 < columns[k].distinct <= 21 and _small(columns[k]) and (k > 0 or wide_log)]
    if scale and not has_outcome:
        chosen[0 if wide_log else scale[-1]] = Meaning("label", "context", False, "it has few small numbers; there is no header")
    places: dict[Role, Column] = {}
    for role in ("user", "item"):
        near = [k for k in open_ if chosen[k] is None and columns[k].type in ("integer", "text") and not lists_ids(columns[k])]
        if near and not wide_log:
            chosen[near[0]] = Meaning(role, role, False, "by its position: there is no header")  # type: ignore[arg-type]
            places[role] = columns[near[0]]  # type: ignore[index]
    return _confirm(columns, chosen, places)


def _confirm(columns: Sequence[Column], chosen: Sequence[Meaning | None], places: dict[Role, Column]) -> list[Question]:
    """Whether columns that only their place tells are what they are taken for."""
    if not places:
        return []
    others = [
        (c, role)
        for role in ("label", "class", "action", "timestamp")
        for c, m in zip(columns, chosen, strict=True)
        if m and m.role == role and not m.certain
    ]
    said = [f"{c.name} as the {role}{example(c)}" for role, c in places.items()]
    said += [f"{c.name} as the {'time' if role == 'timestamp' else role}{example(c)}" for c, role in others]
    text = f"There is no header, so columns are taken by their place and values: {', '.join(said)}. "
    text += "Is that right? If not, set the roles in the table below."
    roles = [Change(c.name, role, role) for role, c in places.items()]  # type: ignore[arg-type]
    answers = {"Yes": roles}
    if len(places) == 2:
        user, item = places["user"], places["item"]
        answers[f"The other way round: {user.name} is the item, {item.name} the user"] = [
            Change(user.name, "item", "item"), Change(item.name, "user", "user"),
        ]  # fmt: skip
    return [ask("place", text, [*places.values(), *(c for c, _ in others)], answers)]


def _small(column: Column) -> bool:
    return all(-10 <= value <= 100 for value in column.floats)


def lists_ids(column: Column) -> bool:
    """Whether most values are lists of ids in one cell, with or without labels."""
    fitting = column.type == "text" and sum(LIST.fullmatch(value.strip()) is not None for value in column.values)
    return 2 * fitting > len(column.values)
