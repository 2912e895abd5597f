"""The guess of a table once questions about it are answered."""

from collections.abc import Mapping
from typing import Any, Literal

from engine.tables.guessed import ColumnGuess, TableGuess
from engine.tables.meaning import Change


def answered(guess: TableGuess, answers: Mapping[str, int]) -> TableGuess:
    """The guess with the answers to some of its questions: columns have the meaning that they give, and the questions are gone.

    Args:
        answers: key of a question -> place of the answer among its answers; other keys are ignored.
    """
    open_, changes, settled = [], dict[str, Change](), set[str]()
    for question in guess.questions:
        place = answers.get(question.key)
        if place is None or not 0 <= place < len(question.answers):
            open_.append(question)
            continue
        settled |= set(question.columns)
        changes |= {change.name: change for change in question.answers[place].changes}
    columns = []
    sides: tuple[Literal["item", "user"], ...] = ("item", "user")
    ids = {side: name for name, change in changes.items() for side in sides if change.role == side}
    for column in guess.columns:
        given = changes.get(column.name)
        update: dict[str, Any] = {"role": given.role, "side": given.side, "why": "as you answered"} if given else {}
        if not given and (described := _described(column, ids, guess)):
            update = described
        columns.append(column.model_copy(update=update | ({"certain": True} if column.name in settled else {})))
    return guess.model_copy(update={"columns": tuple(columns), "questions": tuple(open_)}).timed()


def _described(column: ColumnGuess, ids: Mapping[Literal["item", "user"], str], guess: TableGuess) -> dict[str, Any]:
    """What a feature becomes once it is known which column is the user or the item that it describes; {} where it stays."""
    if column.side != "context" or column.role not in ("category", "dense", "tags") or column.name in ids.values():
        return {}
    side = next((side for side in ids if ids[side] in column.describes), None)
    if side is None:
        return {}
    of = next(one for one in guess.columns if one.name == ids[side])
    titles = [one for one in guess.columns if of.name in one.describes and one.type == "text" and 2 * one.distinct > of.distinct]
    if side == "item" and column.role == "category" and titles[:1] == [column]:
        return {"role": "title", "side": side, "why": f"nearly another text for each {of.name}"}
    return {"side": side, "why": f"one value for each {of.name}"}
