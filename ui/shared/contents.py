"""Headings of a long page, and a line of links that jumps to them."""

import re
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

HEADINGS = "contents.headings"  # in the session: those drawn since the page started


def start() -> DeltaGenerator:
    """The place of the line, which `finish` fills when all headings are known."""
    st.session_state[HEADINGS] = []
    return st.container()


def header(title: str, width: Literal["stretch", "content"] = "stretch") -> None:
    """A heading that the line names."""
    known = st.session_state.setdefault(HEADINGS, [])
    if title not in known:  # a part that is drawn alone comes again
        known.append(title)
    st.header(title, anchor=False, width=width)


def finish(place: DeltaGenerator) -> None:
    """Write the line of links."""
    links = [f"[{title}](#{anchor(title)})" for title in st.session_state[HEADINGS]]
    place.caption(" · ".join(links))


def anchor(title: str) -> str:
    """The id that Streamlit gives a heading without an anchor of its own."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
