"""The meaning of a column, and the questions that names and first values leave open, each with its answers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from engine.tables.specs import Role, Side
from engine.tables.values import Column


class Meaning(NamedTuple):
    """The guessed meaning of a column. `ambiguous`: a question about its time unit."""

    role: Role
    side: Side = "context"
    certain: bool = True
    why: str = ""
    separator: str = "|"
    unit: str | None = None
    ambiguous: str | None = None
    units: tuple[str, ...] = ()


class Change(NamedTuple):
    """The meaning that an answer gives to a column."""

    name: str
    role: Role
    side: Side = "context"


class Answer(BaseModel):
    """One answer in words, what it makes of columns, and the range that it sets for labels."""

    model_config = ConfigDict(frozen=True)

    text: str
    changes: tuple[Change, ...] = ()
    low: float | None = None
    high: float | None = None


class Question(BaseModel):
    """What a person has to decide before the table is read. key: the same for the same question about the same columns."""

    model_config = ConfigDict(frozen=True)

    key: str
    text: str
    columns: tuple[str, ...]
    answers: tuple[Answer, ...]


Open = Sequence[Column | None]


class Found(NamedTuple):
    """Meanings of columns, by their place, and questions about them."""

    taken: list[tuple[int, Meaning]]
    questions: Sequence[Question] = ()


def ask(topic: str, text: str, columns: Sequence[Column], answers: Mapping[str, Sequence[Change]]) -> Question:
    """A question about columns; answers: their words -> what they change."""
    names = tuple(column.name for column in columns)
    said = tuple(Answer(text=words, changes=tuple(changes)) for words, changes in answers.items())
    return Question(key=f"{topic}: {', '.join(names)}"[:200], text=text, columns=names, answers=said)


def one_of(topic: str, text: str, role: Role, columns: Sequence[Column], side: Side = "context") -> Question:
    """Which of several columns has a role; the others are not used."""
    choices = {
        f"{one.name}{example(one)}": [Change(one.name, role, side), *(Change(c.name, "ignore", side) for c in columns if c is not one)]
        for one in columns
    }
    return ask(topic, text, columns, choices)


def example(column: Column) -> str:
    """The first value of a column, in brackets; nothing where there is none."""
    value = next(iter(column.values), "")
    return f" ({value[:40]})" if value else ""


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, cut short where they are many."""
    shown = [name[:40] for name in names[:6]]
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 and not more else ", ".join(shown)) + more
