"""Runs: everything that was launched, and one run in full: progress, curves, log, settings."""

import streamlit as st

import engine
from ui.components import address, batches, keeping, launch, layout, runlist, runview

layout.header("Runs", "Every preparation, training, download and export, live and past. Closing this page changes nothing for a run.")

keeping.undo()
runs = engine.list_runs()
if not runs:
    if engine.list_trash():
        keeping.trash(runs)
    layout.empty(
        "Nothing has been launched yet. One click on the home page trains two models on sample ratings.",
        "views/home.py",
        "Go to the home page",
    )
    st.stop()

asked = address.value("run")
if asked and asked not in {run.run_id for run in runs}:
    keeping.missing("run", [asked])
    asked = None

runlist.table(asked)
keeping.trash(runs)
if asked is None:
    st.caption("Select a run to see its progress, curves, log and settings.")
    st.stop()

run = engine.get_run(asked)
layout.live(lambda: runview.heading(run.run_id), run.live)
runlist.actions(run, runs)
if run.kind == "export" and not run.live:
    batches.files(engine.get_list_export(run))
layout.live(lambda: runview.details(run.run_id), run.live)
runlist.settings(run)
if runlist.can_continue(run):
    launch.more_epochs(run)
