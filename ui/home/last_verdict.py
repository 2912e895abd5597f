"""What the last comparison says, in the words of the Compare page."""

import streamlit as st

import engine
from ui.compare import setup, verdict
from ui.shared import words


def show(run_ids: list[str]) -> None:
    """The sentences of a comparison of finished runs; why there are none where it cannot be made."""
    pinned = next((run_id for run_id in run_ids if engine.runs.get_run(run_id).pinned), "popularity")
    try:
        with st.spinner("Reading results and resampling users for the intervals …"):
            comparison = setup.compared(tuple(run_ids), pinned, True, engine.compare.THRESHOLD)
    except (ValueError, LookupError, OSError) as error:  # such as results that were changed or removed since
        st.caption(f"Its verdict cannot be read: {words.md(error, 400)}")
        return
    for sentence in verdict.sentences(comparison):
        st.markdown(sentence)
