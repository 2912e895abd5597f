"""Why a finished two-tower is not better: its causes in order, each with its evidence and the run that mends it."""

import streamlit as st

from engine import diagnosis
from engine.diagnosis import Diagnosis
from engine.runs import Run
from ui.runs import launch, live
from ui.shared import words

HEALTHY = "No check finds anything wrong. Search its settings with the budget of the others before you blame the model."


def section(run: Run) -> None:
    """The causes in order; nothing for a run that is no finished two-tower."""
    if diagnosis.why_no_diagnosis(run) is not None:
        return
    with st.expander("Why is it not better?", icon=":material/troubleshoot:", key=f"diagnosis.{run.run_id}"):
        try:
            found = diagnosis.diagnose(run.run_id)
        except (LookupError, ValueError, OSError) as error:
            st.info(words.md(error.args[0] if error.args else error, 400), icon=":material/block:")
            return
        if not found:
            st.markdown(HEALTHY)
        for place, one in enumerate(found):
            _cause(run, place, one)


def _cause(run: Run, place: int, one: Diagnosis) -> None:
    with st.container(border=True):
        st.markdown(f"**{place + 1}. {words.md(one.title, 120)}**")
        st.markdown(words.md(one.evidence, 500))
        st.markdown(words.md(one.advice, 300))
        if one.run is None:
            st.page_link("data/page.py", label="Prepare the data otherwise", icon=":material/table:")
            return
        launched = launch.button([one.run], complete=True, key=f"diagnosis.{run.run_id}.{one.cause}", label="Train with this change")
        if launched:
            live.watch(launched)
