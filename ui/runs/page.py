"""Runs: everything that was launched, and one run in detail: progress, curves, log, settings."""

import streamlit as st

import engine
from ui.runs import annotations, diagnosis, features, launch, list_exports, live, several, table
from ui.shared import address, layout

layout.header("Runs", "Every preparation, training, download and export, live and past. Runs continue when this page is closed.")

annotations.undo()
runs = engine.runs.list_runs()
if not runs:
    if engine.runs.list_trash():
        annotations.trash()
    layout.empty(
        "Nothing has been launched yet. One click on the home page trains two models on sample ratings.",
        "home/page.py",
        "Go to the home page",
    )
    st.stop()

selected = address.value("run")
if selected and selected not in {run.run_id for run in runs}:
    annotations.missing("run", [selected])
    selected = None

ticked = table.table(selected)
several.section([run for run in runs if run.run_id in ticked], runs)
annotations.trash()
if selected is None:
    st.caption("Click a run to see its progress, curves, log and settings; tick several to compare, stop, tag or trash them.")
    st.stop()

run = engine.runs.get_run(selected)
layout.live(lambda: live.heading(run.run_id), run.live)
table.actions(run, runs)
if run.kind == "export" and not run.live:
    list_exports.files(engine.runs.get_list_export(run))
layout.live(lambda: live.details(run.run_id), run.live)
table.settings(run)
diagnosis.section(run)
features.section(run)
if table.can_continue(run):
    launch.more_epochs(run)
