"""What a page says when the store cannot be used."""

import re

import streamlit as st

from engine.runs import StoreError
from ui.shared import words

COMMAND = re.compile(r"`([^`]+)`")


def tell(error: StoreError) -> None:
    """The cause and the way out, in place of the rest of the page, with its commands to copy; the page tries again by a button."""
    st.error(words.md(str(error), 1200), icon=":material/database_off:", title="The store cannot be used")
    for command in COMMAND.findall(str(error)):
        st.code(command, language="bash")
    st.button("Try again", icon=":material/refresh:", key="store.again")
