"""Train: a dataset, one or several contenders with their settings, one launch."""

import streamlit as st

import engine
from ui.components import address, launch, layout, picker, runview, words

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

if why := engine.why_no_ranking(dataset):
    st.info(words.md(why, 600), icon=":material/person_off:")

st.subheader("Contenders", anchor=False)
models = launch.contenders(given, dataset)
st.subheader("Training", anchor=False)
training = launch.training(given)
specs = launch.specs(dataset.id, models, training)

with st.expander("As JSON and as commands", icon=":material/terminal:", key="train.commands"):
    st.caption("What the button launches, as the command line takes it.")
    for spec in specs:
        st.code(engine.command_line(spec), language="bash", wrap_lines=True)
        st.code(spec.model_dump_json(indent=2), language="json", height=220)

launched = launch.button(specs, complete=len(specs) == len(models))
if launched:
    st.subheader("Launched", anchor=False)
    if runview.watch(launched) and len(launched) > 1:
        st.page_link("views/compare.py", label="Compare them", icon=":material/balance:", query_params={"runs": ",".join(launched)})
    elif len(launched) > 1:
        st.caption(f"{words.count(len(launched))} runs. They go on when this page is closed; the queue is on the Runs page.")
