"""Plan: what a run would take with other counts, on other machines, before anything is launched."""

import streamlit as st

import engine
from ui.plan import answer, form
from ui.shared import help_link, layout, picker, words

layout.header("Plan", "What would it take? More users, more items, other machines: where tables go, disk, hours and money.")
help_link.show("scale", "What a plan rests on")

datasets = engine.datasets.list_datasets()
if not datasets:
    layout.empty(
        "A plan starts from a prepared dataset, and there is none yet. Generate sample ratings or bring data of your own.",
        "data/page.py",
        "Prepare a dataset",
        query={"view": "new"},
    )
    st.stop()

dataset = picker.pick_dataset("plan.dataset", datasets)
if dataset is None:
    st.stop()
chosen = form.start(dataset)
if chosen is None:
    st.info("No network can be trained on this dataset, so there are no tables to place.", icon=":material/block:")
    st.stop()
given, measured = chosen
run = form.settings(given, measured.run_id if measured else f"{dataset.id}.{given.model.kind}")
st.header("How much data", anchor=False)
texts = form.counts(dataset)
st.header("Which machines", anchor=False)
fleet, speed = form.machines()
base = measured.run_id if measured and measured.resources.get("rows_per_s") else None
spec = form.asked(run, dataset, texts, fleet, {"measured": base, **speed}) if run else None
if spec is None:
    st.stop()

st.header("What it would take", anchor=False)
try:
    plan = answer.planned(spec.model_dump_json(), tuple(run.run_id for run in picker.finished()), spec)
except (ValueError, LookupError) as error:
    st.error(words.md(error.args[0] if error.args else error, 600), icon=":material/block:", title="Cannot be planned")
    st.stop()
answer.show(plan)
with st.expander("As a command", icon=":material/terminal:", key="plan.command"):
    st.code(engine.plan.command(spec), language="bash", wrap_lines=True)
    st.code(spec.run.model_dump_json(indent=2), language="json", height=220)
