"""System: what this workbench runs on, for a bug report or a full disk."""

import streamlit as st

from ui.components import layout, system, tables

layout.header("System", "Versions, folders and what was found on this machine.")

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Workspace", anchor=False)
    tables.show(tables.small_table(system.workspace(), left=True))
with right:
    st.subheader("Versions", anchor=False)
    tables.show(tables.small_table(system.versions(), left=True))
