"""Registry: the registered models, their aliases, what each version was compared with, and how it is served."""

import streamlit as st

import engine
from ui.registry import version
from ui.shared import address, help_link, layout

layout.header("Registry", "Models that left the workbench: versions, aliases, the verdict that chose each, and the command that serves it.")
help_link.show("ship", "Register, serve, gate")

registered = engine.registry.list_registered()
if not registered:
    layout.empty(
        "Nothing is registered yet. *Register* on the Compare and the Runs page puts a finished run into MLflow's registry.",
        "compare/page.py",
        "Compare runs",
        ":material/balance:",
    )
    st.stop()

names = list(dict.fromkeys(one.name for one in registered))
name = names[0]
if len(names) > 1:
    name = address.select("Model", "registry.model", "model", {one: one for one in names})
versions = [one for one in registered if one.name == name]
version.table(versions)
chosen = address.select("Version", "registry.version", "version", {str(one.version): version.label(one) for one in versions})
version.details(next(one for one in versions if str(one.version) == chosen))
