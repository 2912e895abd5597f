"""System: the environment of this workbench, for a bug report or a full disk."""

import streamlit as st

from ui.shared import help_link, layout, tables
from ui.system import facts

layout.header("System", "Folders, free disk space and versions on this machine.")
help_link.show("scale", "Settings and scale")

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Workspace", anchor=False)
    tables.show(tables.small_table(facts.workspace(), left=True))
with right:
    st.subheader("Versions", anchor=False)
    tables.show(tables.small_table(facts.versions(), left=True))
