"""Data: what is prepared, and preparing more: source, label rule, split, preview, launch."""

import streamlit as st

import engine
from ui.data import new, prepared
from ui.runs import live
from ui.shared import address, help_link, layout

layout.header(
    "Data", "Bring interactions, see what is wrong with them, prepare them once; every run on them sees the same rows, split and users."
)
help_link.show("data", "Sources, audit, labels and splits")

found = engine.datasets.list_datasets()
underway = [run.run_id for run in engine.runs.list_runs("prepare", limit=50) if run.live]
asked = address.value("dataset")
if asked and asked not in {dataset.id for dataset in found}:
    layout.unknown("dataset", [asked])

VIEWS = {"list": f"Prepared ({len(found)})", "new": "New dataset"}
start = address.value("view")
address.seed("data.view", "view", start if start in VIEWS else "list" if found or underway else "new")
view = st.segmented_control(
    "View", list(VIEWS), format_func=lambda name: VIEWS[name], key="data.view", required=True, label_visibility="collapsed"
)
address.remember("data.view", "view", view)

if view == "new":
    new.flow()
elif found or underway:
    if underway:
        live.watch(underway)
    if found:
        prepared.listed(found)
else:
    layout.empty(
        "No dataset is prepared yet. Generate sample ratings, download a public data set, or bring a table of your own.",
        "data/page.py",
        "Prepare a dataset",
        query={"view": "new"},
    )
