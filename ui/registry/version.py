"""The versions of a registered model, and one of them in detail."""

import json
import shlex

import pandas as pd
import streamlit as st

import engine
from engine.registry import Registered
from ui.shared import tables, words

SHOWN = 4  # metrics of the table
PORT = 5001


def label(one: Registered) -> str:
    """What people call a version."""
    aliases = "".join(f" @{alias}" for alias in one.aliases)
    return f"{one.version}{aliases} · {words.plain(one.title, 80)}"


def table(versions: list[Registered]) -> None:
    """A row for each version, newest first."""
    keys = [key for key in engine.specs.METRICS if any(key in one.metrics for one in versions)][:SHOWN]
    rows = [
        {
            "Alias": ", ".join(one.aliases) or words.DASH,
            "Run": words.plain(one.title, 60),
            "Dataset": words.plain(one.dataset_name, 40),
            **{engine.specs.METRICS[key].label: _value(one, key) for key in keys},
            "Users": words.count(one.users) if one.users else "by likes alone",
            "Size": words.size(one.bytes),
            "Registered": words.ago(one.registered_at),
        }
        for one in versions
    ]
    frame = pd.DataFrame(rows, index=[str(one.version) for one in versions])
    help_of = {engine.specs.METRICS[key].label: engine.specs.METRICS[key].description for key in keys}
    tables.show(tables.small_table(frame, "Version", tooltips=help_of))


def _value(one: Registered, key: str) -> str:
    found = one.metrics.get(key)
    if found is None or found["value"] is None:
        return words.DASH
    low, high = found["low"], found["high"]
    half = None if low is None or high is None else (high - low) / 2
    return words.number(found["value"], 3) if half is None else engine.compare.with_half(found["value"], half)


def details(one: Registered) -> None:
    """The verdict that chose a version, its aliases, and how it is served."""
    with st.container(border=True):
        st.markdown(words.md(one.verdict or "It was registered without a verdict.", 4000))
        st.caption(words.md(one.protocol, 1000))
        with st.container(horizontal=True):
            runs = one.comparison.partition("runs=")[2] or one.run_id
            st.page_link("compare/page.py", label="The comparison", icon=":material/balance:", query_params={"runs": runs})
            st.page_link("runs/page.py", label="The run", icon=":material/list:", query_params={"run": one.run_id})
            st.page_link("recommend/page.py", label="Its lists", icon=":material/recommend:", query_params={"runs": one.run_id})
    left, right = st.columns([1, 2], gap="large")
    with left:
        _aliases(one)
    with right:
        st.header("Serve it", anchor=False)
        st.code(engine.registry.serve_command(one, PORT), language="bash", wrap_lines=True)
        st.code(_curl(one), language="bash", wrap_lines=True)
        st.caption("The environment is made from the pinned requirements. May another run take its place?")
        st.code(f"recbench gate RUN --against {shlex.quote(_spelled(one))}", language="bash", wrap_lines=True)


def _spelled(one: Registered) -> str:
    return f"{one.name}@{one.aliases[0]}" if one.aliases else f"{one.name}/{one.version}"


def _curl(one: Registered) -> str:
    rows = [{"user_id": "42"}] if one.users else [{"liked": ["TITLE"]}]
    body = json.dumps({"dataframe_records": rows, "params": {"k": 10}})
    return f"curl localhost:{PORT}/invocations -H 'Content-Type: application/json' -d '{body}'"


def _aliases(one: Registered) -> None:
    st.header("Aliases", anchor=False)
    for alias in one.aliases:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{words.md(alias, 50)}**", width="content")
            if st.button("Take away", icon=":material/close:", key=f"registry.drop.{one.name}.{one.version}.{alias}"):
                engine.registry.set_alias(one.name, alias, None)
                st.rerun()
    with st.form(f"registry.alias.{one.name}.{one.version}", border=False):
        alias = st.text_input("Give it an alias", placeholder="champion", max_chars=50, help="A version that has it loses it.")
        if st.form_submit_button("Give", icon=":material/label:"):
            try:
                engine.registry.set_alias(one.name, alias.strip(), one.version)
            except (LookupError, ValueError) as error:
                st.error(words.md(error.args[0] if error.args else error, 400), icon=":material/error:")
                return
            st.rerun()
