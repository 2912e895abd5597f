"""What a person writes above the report of a comparison: a text area in the Export popover, kept with the comparison."""

import hashlib

import streamlit as st

import engine
from engine.compare import Comparison
from engine.report import LONGEST_NARRATIVE
from ui.shared import words

MEANING = "Plain text above the verdict, in the HTML report, in Markdown and in the notebook; blank lines separate paragraphs."


def area(comparison: Comparison) -> None:
    """The text area; what is typed is kept as soon as it is left."""
    ids = engine.report.runs_of(comparison)
    key = f"compare.narrative.{hashlib.sha256(' '.join(sorted(ids)).encode()).hexdigest()[:12]}"
    if key not in st.session_state:
        st.session_state[key] = engine.report.narrative(ids)
    st.text_area("Notes for the report", key=key, max_chars=LONGEST_NARRATIVE, help=MEANING, on_change=_keep, args=(ids, key))
    if problem := st.session_state.pop(f"{key}.problem", None):
        st.error(words.md(problem, 300))


def _keep(ids: list[str], key: str) -> None:
    try:
        engine.report.set_narrative(ids, st.session_state[key])
    except (OSError, ValueError) as error:
        st.session_state[f"{key}.problem"] = f"The notes were not kept: {error}"
