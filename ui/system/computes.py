"""Where runs compute: what the workspace keeps by name, and a form for another."""

import json

import pandas as pd
import streamlit as st
from pydantic import ValidationError

import engine
from engine.compute import Compute
from engine.specs import explain
from ui.shared import tables, words

EXAMPLE = {"name": "cluster", "master": "spark://host:7077", "executors": 8, "cores": 16, "memory_gb": 64}


def computes() -> None:
    """The kept computes, and a form that keeps one more, or one anew."""
    st.header("Where runs compute", anchor=False)
    kept = engine.compute.list_computes()
    st.caption(
        "Spark clusters that Train and Data offer. Executors get the workbench's code by themselves, and Python from an environment."
    )
    if kept:
        rows = {compute.name: words.plain(compute.in_words, 200) for compute in kept}
        tables.show(tables.small_table(pd.DataFrame({"": list(rows.values())}, index=list(rows)), left=True))
    with st.expander("Keep another one", icon=":material/add:", key="system.computes"):
        names = [compute.name for compute in kept]
        given = st.selectbox("Start from", ["An example", *names], key="system.compute.from") if names else "An example"
        start = next((json.loads(compute.model_dump_json(exclude_defaults=True)) for compute in kept if compute.name == given), EXAMPLE)
        text = st.text_area("Settings as JSON", json.dumps(start, indent=2), height=240, key=f"system.compute.{given}", help=_fields())
        with st.container(horizontal=True):
            if st.button("Keep it", icon=":material/save:", key="system.compute.keep"):
                _keep(text)
            if given in names and st.button("Delete it", icon=":material/delete:", key="system.compute.delete"):
                engine.compute.delete(given)
                st.rerun()


def _keep(text: str) -> None:
    try:
        engine.compute.save(Compute.model_validate(json.loads(text)))
    except ValueError as error:
        why = explain(error) if isinstance(error, ValidationError) else str(error)
        st.error(words.md(why, 600), icon=":material/error:", title="Not kept")
        return
    st.rerun()


def _fields() -> str:
    return "  \n".join(f"`{name}`: {field.description}" for name, field in Compute.model_fields.items())
