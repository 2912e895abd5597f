"""Compare: runs of one dataset against each other and against popularity: verdict, metrics, curves, settings, cost."""

import streamlit as st

from ui.components import address, comparing, layout, picker, tables, verdict, words

layout.header("Compare", "Runs on the same prepared dataset, measured under one protocol, with popularity and random beside them.")

finished = picker.finished()
if not finished:
    if address.values("runs"):
        layout.unknown("finished run", address.values("runs"))
    layout.empty(
        "No training has finished yet. Train two models to compare them.",
        "views/train.py",
        "Train models",
        ":material/model_training:",
    )
    st.stop()

left, right = st.columns([4, 1])
with left:
    chosen, unknown = picker.pick_runs("compare.runs", finished, picker.last_comparison(finished) or [finished[0].run_id])
if unknown:
    layout.unknown("finished run", unknown)
if not chosen:
    st.info("Choose one or more finished runs above.")
    st.stop()

with right:
    baseline = comparing.baseline(chosen)
with st.spinner("Reading results and resampling users for the intervals …"):
    comparison = comparing.compared(tuple(chosen), baseline)
comparing.apart(comparison)
why = comparing.no_ranking(comparison)
if why:
    st.info(words.md(why, 600), icon=":material/person_off:")
said = verdict.sentences(comparison)
if said:
    with st.container(border=True):
        st.markdown("\n\n".join(said))
        users = "" if why else f" · {words.count(comparison.users)} test users"
        st.caption(f"{words.md(comparing.dataset_name(comparison))}{users} · intervals are 95 %")

wide = len(comparison.contenders) > comparing.BESIDE
table_at = st.container() if wide else None
grid = st.grid(2, min_column_width=500, gap="medium")
with grid.cell() if table_at is None else table_at:
    st.subheader("Metrics on test", anchor=False)
    tables.show(tables.metric_table(comparison, comparison.against))
with grid.cell():
    comparing.curves(comparison)
cost_at = None if wide else grid.cell()
with grid.cell():
    comparing.quality_cost(comparison)
with grid.cell() if cost_at is None else cost_at:
    st.subheader("Cost", anchor=False)
    tables.show(tables.fact_table(comparison.costs.rename(columns={"fact": "cost"}), comparison.contenders, "cost", "unit"))

comparing.settings(comparison)
if not why:
    st.page_link(
        "views/recommend.py",
        label="What would they recommend to one user?",
        icon=":material/recommend:",
        query_params={"runs": ",".join(chosen)},
    )
