"""The guess of a table once questions about it are answered."""

from collections.abc import Mapping

from engine.tables.guessed import TableGuess
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
    for column in guess.columns:
        given = changes.get(column.name)
        update = {"role": given.role, "side": given.side, "why": "as you answered"} if given else {}
        columns.append(column.model_copy(update=update | ({"certain": True} if column.name in settled else {})))
    return guess.model_copy(update={"columns": tuple(columns), "questions": tuple(open_)}).timed()
