"""Questions about a table whose names say nothing, such as those of another language: who, what, and how it was liked."""

from collections.abc import Sequence

from engine.tables.meaning import Change, Meaning, Question, ask, example
from engine.tables.names import (
    ACTION,
    AFTER,
    AMOUNT,
    DAYTIME,
    DONE,
    ID,
    ITEM_SIDE,
    KIND,
    NOUNS,
    POSITION,
    PRICE,
    RATED,
    SESSION,
    TAGS,
    TIME,
    TITLE,
    USER_SIDE,
)  # fmt: skip
from engine.tables.specs import Role
from engine.tables.values import Column, one_for_each

PLACES = {"site", "publisher", "domain", "campaign", "banner", "page", "url", "ip", "referrer", "channel", "query", "placement", "agent"}
SPEAKING = (
    PLACES
    | (
        NOUNS
        | ITEM_SIDE
        | USER_SIDE
        | RATED
        | DONE
        | ACTION
        | KIND
        | AMOUNT
        | PRICE
        | AFTER
        | TIME
        | DAYTIME
        | POSITION
        | TITLE
        | TAGS
        | SESSION
    )
    - ID
)
MOST_COLUMNS, MOST_CHOICES = 12, 6  # in a wider table every column may be an id: it is a click log rather
WHICH = "which "  # begins the keys of the questions for the user and the item
REPEATED = 5  # ids that occur again, from which it is seen whether a column describes them
MOST_STEPS, HIGHEST = 11, 10  # of a scale


def unnamed(columns: Sequence[Column], meanings: Sequence[Meaning]) -> list[Question]:
    """A question for the user, the item and the label, where no name says which column that is and some may be."""
    if len(columns) > MOST_COLUMNS:
        return []
    roles = {meaning.role for meaning in meanings}
    free = [
        c
        for c, meaning in zip(columns, meanings, strict=True)
        if meaning.role == "category" and not meaning.certain and not c.words & SPEAKING
    ]
    scales = [] if roles & {"label", "class", "action"} else [c for c in free if _is_scale(c)]
    questions = [question for role in ("user", "item") if role not in roles for question in _who(role, free, scales)]  # type: ignore[arg-type]
    return questions + [_label(column) for column in scales[-1:] if questions]


def describing(columns: Sequence[Column], questions: Sequence[Question]) -> dict[str, tuple[str, ...]]:
    """Name of a column -> the possible ids of a question for each of which it has one value, so that it describes what they name."""
    ids = {name for question in questions if question.key.startswith(WHICH) for name in question.columns}
    keys = [column for column in columns if column.name in ids]
    return {c.name: tuple(key.name for key in keys if key is not c and one_for_each(key, c, REPEATED)) for c in columns if keys}


def _who(role: Role, free: Sequence[Column], scales: Sequence[Column]) -> list[Question]:
    near = [c for c in free if c.type in ("text", "integer") and 1 < c.distinct < c.rows and c not in scales]
    near = sorted(near, key=lambda c: -c.distinct)[:MOST_CHOICES]
    near = [c for c in free if c in near]  # in the order of the table
    if not near:
        return []
    answers = {f"{c.name}{example(c)}": [Change(c.name, role, role)] for c in near}  # type: ignore[arg-type]
    return [
        ask(
            WHICH + role,
            f"No name says which column is the {role}. Which one is it?",
            near,
            answers | {f"None: the table has no {role}s": []},
        )
    ]


def _label(column: Column) -> Question:
    text = f"Does {column.name}{example(column)} say how much somebody liked an item?"
    yes, no = [Change(column.name, "label")], [Change(column.name, "category")]
    return ask("label", text, [column], {"Yes: it is the label": yes, "No: it is a feature, known before the choice": no})


def _is_scale(column: Column) -> bool:
    """Whether values are a few small whole numbers."""
    numbers = column.floats if column.type == "integer" else []
    return 1 < len(set(numbers)) <= MOST_STEPS and min(numbers) >= -1 and max(numbers) <= HIGHEST
