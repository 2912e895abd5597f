"""Train: a dataset, one or several contenders with their settings, one launch."""

import streamlit as st

import engine
from ui.components import address, foretold, launch, layout, lineup, picker, runview, words

layout.header("Train", "Contenders train on the same rows under the same settings, one after the other, and are measured alike.")

datasets = engine.list_datasets()
if not datasets:
    layout.empty(
        "Training needs a prepared dataset, and there is none yet. Generate sample ratings or bring data of your own.",
        "views/data.py",
        "Prepare a dataset",
        query={"view": "new"},
    )
    st.stop()

given = launch.settings_to_repeat(address.value("from"))
dataset = picker.pick_dataset("train.dataset", datasets)
if dataset is None:
    st.stop()

st.caption(foretold.asked(dataset))
if why := engine.why_no_ranking(dataset):
    st.info(words.md(why, 600), icon=":material/person_off:")

st.subheader("Contenders", anchor=False)
models = lineup.contenders(given, dataset)
st.subheader("Training", anchor=False)
training, seeds = launch.training(given)
specs = launch.specs(dataset.id, models, training, seeds)
launch.commands(specs)
launched = launch.button([spec for runs in specs for spec in runs], complete=all(specs))
if launched:
    st.subheader("Launched", anchor=False)
    if runview.watch(launched) and len(launched) > 1:
        st.page_link("views/compare.py", label="Compare them", icon=":material/balance:", query_params={"runs": ",".join(launched)})
    elif len(launched) > 1:
        st.caption(f"{words.count(len(launched))} runs. They go on when this page is closed; the queue is on the Runs page.")
