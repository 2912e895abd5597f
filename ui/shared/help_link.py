"""A link to a topic of the Help page, for where somebody needs it."""

import streamlit as st


def show(topic: str, label: str) -> None:
    """Draw the link. `topic`: the name of a file in ui/help, without `.md`; `ui/help/page.py` lists them."""
    st.page_link("help/page.py", label=label, icon=":material/help:", query_params={"topic": topic})
