"""The questions that a guess leaves open, each with its answers; nothing is prepared before they are answered."""

import hashlib
from collections.abc import Iterable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.tables import Answer, Question, TableGuess, answered
from ui.shared import words


class Asked:
    """The questions about one table and what was answered, which is kept while the tab is open.

    Args:
        key: of the widgets; one per table.
    """

    def __init__(self, key: str, place: DeltaGenerator) -> None:
        self._key, self._place = key, place
        self._answers: dict[str, int] = st.session_state.setdefault(f"{key}.answers", {})

    def settled(self, guess: TableGuess) -> TableGuess:
        """The guess with what was answered."""
        return answered(guess, self._answers)

    def answer(self, question: Question) -> Answer | None:
        """The answer to a question, None while it is open."""
        place = self._answers.get(question.key)
        return question.answers[place] if place is not None and place < len(question.answers) else None

    def show(self, questions: Sequence[Question], by_hand: Iterable[str]) -> list[str]:
        """Draw the questions; those about columns whose role was changed by hand are settled.

        Returns:
            A sentence for each question that is still open.
        """
        changed = set(by_hand)
        asked = [question for question in questions if not changed & set(question.columns)]
        open_ = [question for question in asked if self.answer(question) is None]
        if not asked:
            return []
        with self._place.container(border=True, key=f"{self._key}.questions"):
            left = f"{len(open_)} of {len(asked)} open" if open_ else "all answered"
            st.markdown(f"**Questions about the columns** :gray[· {left}]")
            for question in asked:
                self._draw(question)
        return [_in_short(question) for question in open_]

    def _draw(self, question: Question) -> None:
        name = f"{self._key}.question.{hashlib.sha256(question.key.encode()).hexdigest()[:12]}"
        if name not in st.session_state:
            st.session_state[name] = self._answers.get(question.key)

        def keep() -> None:
            if st.session_state[name] is not None:
                self._answers[question.key] = st.session_state[name]

        mark = "" if self.answer(question) else ":material/help: "
        st.radio(
            mark + words.md(question.text, 600),
            range(len(question.answers)),
            index=None,
            format_func=lambda place: words.md(question.answers[place].text, 160),
            key=name,
            on_change=keep,
        )


def _in_short(question: Question) -> str:
    if not question.columns:
        return f"Confirm that no column is the {question.key.partition(': ')[2]}, or choose one."
    topic = question.key.partition(": ")[0]
    if topic.startswith("which "):
        return f"Say {topic.replace('which', 'which column is the')}."
    shown = ", ".join(words.plain(name, 40) for name in question.columns[:4]) + (" …" if len(question.columns) > 4 else "")
    return f"Answer the question about {shown}."
