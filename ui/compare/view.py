"""What the Compare page shows of a comparison: its parts note what is chosen in them, and a notebook is written with that.

One record for each session, changed in place: a file is made when its button is pressed, which may be after a choice that redrew one
part of the page alone.
"""

import streamlit as st

from engine.report import View

KEY = "compare.view"


def note(**choices: str) -> None:
    """Remember choices, by the fields of `View`."""
    chosen().update(choices)


def chosen() -> dict[str, str]:
    """The choices of this session so far; those that a comparison does not have are ignored when it is written."""
    found: dict[str, str] = st.session_state.setdefault(KEY, {})
    return found


def record(choices: dict[str, str]) -> View:
    """The choices as the engine takes them."""
    return View.model_validate(choices)
