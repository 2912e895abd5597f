"""Data: the prepared datasets, and the form that prepares another one."""

import streamlit as st

import engine
from ui.data import new, prepared
from ui.runs import live
from ui.shared import address, help_link, layout

layout.header(
    "Data", "Bring interactions, check their quality, and prepare them once. Every run on a dataset uses the same rows, split and users."
)
help_link.show("data", "Sources, audit, labels and splits")

datasets = engine.datasets.list_datasets()
underway = [run.run_id for run in engine.runs.list_runs("prepare", limit=50) if run.live]
requested = address.value("dataset")
if requested and requested not in {dataset.id for dataset in datasets}:
    layout.unknown("dataset", [requested])

VIEWS = {"list": f"Prepared ({len(datasets)})", "new": "New dataset"}
start = address.value("view")
address.seed("data.view", "view", start if start in VIEWS else "list" if datasets or underway else "new")
view = st.segmented_control(
    "View", list(VIEWS), format_func=lambda name: VIEWS[name], key="data.view", required=True, label_visibility="collapsed"
)
address.remember("data.view", "view", view)

if view == "new":
    new.flow()
elif datasets or underway:
    if underway:
        live.watch(underway)
    if datasets:
        prepared.listed(datasets)
else:
    layout.empty(
        "No dataset is prepared yet. Generate sample ratings, download a public data set, or bring a table of your own.",
        "data/page.py",
        "Prepare a dataset",
        query={"view": "new"},
    )
