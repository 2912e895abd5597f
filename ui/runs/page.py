"""Runs: everything that was launched, and one run in full: progress, curves, log, settings."""

import streamlit as st

import engine
from ui.runs import annotations, launch, list_exports, live, table
from ui.shared import address, layout

layout.header("Runs", "Every preparation, training, download and export, live and past. Closing this page changes nothing for a run.")

annotations.undo()
runs = engine.runs.list_runs()
if not runs:
    if engine.runs.list_trash():
        annotations.trash(runs)
    layout.empty(
        "Nothing has been launched yet. One click on the home page trains two models on sample ratings.",
        "home/page.py",
        "Go to the home page",
    )
    st.stop()

asked = address.value("run")
if asked and asked not in {run.run_id for run in runs}:
    annotations.missing("run", [asked])
    asked = None

table.table(asked)
annotations.trash(runs)
if asked is None:
    st.caption("Select a run to see its progress, curves, log and settings.")
    st.stop()

run = engine.runs.get_run(asked)
layout.live(lambda: live.heading(run.run_id), run.live)
table.actions(run, runs)
if run.kind == "export" and not run.live:
    list_exports.files(engine.runs.get_list_export(run))
layout.live(lambda: live.details(run.run_id), run.live)
table.settings(run)
if table.can_continue(run):
    launch.more_epochs(run)
