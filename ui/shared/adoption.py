"""The offer to take in runs from their folders, above every page, where the store does not know them."""

import streamlit as st

import engine
from ui.shared import words


def _adopt() -> None:
    try:
        done = engine.runs.adopt()
    except (LookupError, ValueError, OSError) as error:
        st.session_state["adoption"] = str(error)
        return
    left = f" {len(done.left)} were left: {done.left[0][1]}" if done.left else ""
    st.session_state["adoption"] = f"{len(done.new)} runs taken in, {len(done.completed)} completed.{left}"


def offer() -> engine.runs.StoreError | None:
    """Say how many run folders the store does not know, with a button; returns why the store cannot be asked, if so."""
    if (said := st.session_state.pop("adoption", None)) is not None:
        st.info(words.md(said, 600), icon=":material/inventory_2:")
    try:
        hint = engine.runs.adoption_hint()
    except engine.runs.StoreError as error:
        return error
    if hint:
        st.warning(words.md(hint, 300), icon=":material/inventory_2:")
        st.button("Adopt the runs", type="primary", icon=":material/inventory_2:", key="adopt", on_click=_adopt)
    return None
