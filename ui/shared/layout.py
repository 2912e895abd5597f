"""The frame that pages share: title, empty states, unknown addresses, live parts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from engine import runs
from engine.runs import StoreError
from ui.shared import store_trouble, words

_STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def header(title: str, says: str) -> None:
    """The page's title and one line on what it is for."""
    st.html(f"<style>{_STYLE}</style>")
    st.title(title, anchor=False)
    st.caption(says)


def empty(message: str, page: str, label: str, icon: str = ":material/arrow_forward:", query: Mapping[str, str] | None = None) -> None:
    """Say why the page is empty and offer the next step as a button."""
    with st.container(border=True):
        st.markdown(message)
        if st.button(label, type="primary", icon=icon, key=f"empty.{page}"):
            st.switch_page(page, query_params=dict(query or {}))


def unknown(noun: str, given: list[str]) -> None:
    """Say that the address names something that is not in this workspace, with a link to the home page."""
    shown = ", ".join(words.md(text, 40) for text in given[:3]) + (" …" if len(given) > 3 else "")
    st.warning(f"There is no {noun} {shown} here. It may belong to another workspace, or the address was cut short.")
    st.page_link("home/page.py", label="Go to the home page", icon=":material/home:")


def live(draw: Callable[[], bool], active: bool, seconds: float = 2.0) -> None:
    """Draw now and, while active, every few seconds. When `draw` returns False, the whole page runs once more."""

    @st.fragment(run_every=seconds if active else None)
    def part() -> None:
        try:
            with runs.read_once():
                again = not draw() and active
        except StoreError as error:
            store_trouble.tell(error)
            return
        if again:
            st.rerun()

    part()
