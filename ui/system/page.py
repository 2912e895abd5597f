"""System: the environment of this workbench, its disk, what dead runs left, the trash, and a bundle for a report of a fault."""

import streamlit as st

from ui.shared import help_link, layout, tables
from ui.system import computes, facts, upkeep

layout.header("System", "Folders, disk, clean-up and versions of this workbench, and a bundle for a report of a fault.")
help_link.show("scale", "Settings and scale")

upkeep.exposure()
left, right = st.columns(2, gap="large")
with left:
    st.header("Workspace", anchor=False)
    tables.show(tables.small_table(facts.workspace(), left=True))
    computes.computes()
    upkeep.disk()
    upkeep.datasets()
    upkeep.trash()
with right:
    upkeep.run_store()
    upkeep.support()
    upkeep.orphans()
    st.header("Versions", anchor=False)
    tables.show(tables.small_table(facts.versions(), left=True))
