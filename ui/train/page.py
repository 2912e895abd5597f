"""Train: choose a dataset, one or several contenders and their settings, and launch them together."""

import streamlit as st

import engine
from ui.runs import launch, live, predictions
from ui.shared import address, computes, help_link, layout, picker, words
from ui.train import before, budget, contenders, form, presets, question

layout.header("Train", "All contenders train on the same rows one after the other, and are evaluated alike.")
help_link.show("contenders", "What the models are")

datasets = engine.datasets.list_datasets()
if not datasets:
    layout.empty(
        "Training needs a prepared dataset, and there is none yet. Generate sample ratings or bring data of your own.",
        "data/page.py",
        "Prepare a dataset",
        query={"view": "new"},
    )
    st.stop()

given = form.settings_to_repeat(address.value("from"))
dataset = picker.pick_dataset("train.dataset", datasets)
if dataset is None:
    st.stop()

st.caption(predictions.task_sentence(dataset))
if why := engine.datasets.why_no_ranking(dataset):
    st.info(words.md(why, 600), icon=":material/person_off:")

start = presets.pick(given)
st.header("Contenders", anchor=False)
equal = budget.ask(start.contenders)
entries = contenders.contenders(start.contenders, dataset)
st.header("Training", anchor=False)
protocol = question.ask(start.protocol, dataset)
training, seeds = form.training(start.train, start.seeds)
specs = budget.applied(form.specs(dataset.id, entries, training, protocol, seeds), entries, equal, dataset)
presets.offer_to_save(specs)
form.commands(specs)
with computes.choose("train.compute"):
    fits = before.shown(specs, dataset)
    launched = launch.button([spec for runs in specs for spec in runs], complete=all(specs) and fits)
if launched:
    presets.remember(launched, specs)
    st.header("Launched", anchor=False)
    if live.watch(launched) and len(launched) > 1:
        st.page_link("compare/page.py", label="Compare them", icon=":material/balance:", query_params={"runs": ",".join(launched)})
    elif len(launched) > 1:
        st.caption(f"{words.count(len(launched))} runs. They continue when this page is closed; the queue is on the Runs page.")
