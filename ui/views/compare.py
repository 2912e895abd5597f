"""Compare: runs of one dataset against each other and against popularity: verdict, metrics, curves, settings, cost."""

from functools import partial

import streamlit as st

import engine
from ui.components import (
    address,
    calibration,
    comparing,
    contenders,
    funnels,
    guide,
    keeping,
    layout,
    learning,
    pairs,
    picker,
    protocol,
    shown,
    slices_view,
    tables,
    tradeoff,
    verdict,
    votes,
    words,
)

layout.header("Compare", "Runs on the same prepared dataset, measured under one protocol, with popularity and random beside them.")

finished = picker.finished()
if not finished:
    if address.values("runs"):
        keeping.missing("finished run", address.values("runs"))
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
    keeping.missing("finished run", unknown)
if not chosen:
    st.info("Choose one or more finished runs above.")
    st.stop()

with right:
    baseline_at = st.container()
    seeds = contenders.seeds_as_one(engine.seed_groups(chosen))
with baseline_at:
    baseline = comparing.baseline(engine.seed_groups(chosen, seeds))
with st.spinner("Reading results and resampling users for the intervals …"):
    comparison = comparing.compared(tuple(chosen), baseline, seeds)
comparing.apart(comparison)
why = comparing.no_ranking(comparison)
if why:
    st.info(words.md(why, 600), icon=":material/person_off:")
said = verdict.sentences(comparison, pairs.tested)
if said:
    with st.container(border=True):
        st.markdown("\n\n".join(said))
        st.caption(f"{words.md(comparing.dataset_name(comparison))} · intervals are 95 %")

if not why:
    protocol.show(comparison)
guide.section(comparison)
alarms = contenders.alarms(comparison.contenders)
contenders.what_looks_wrong(comparison.contenders, alarms)

costs = comparison.costs.rename(columns={"fact": "cost"})
k, at = shown.drawn_at(), partial(comparing.compared, tuple(chosen), baseline, seeds)
wide = shown.turned() or len(comparison.contenders) > comparing.BESIDE
table_at = st.container() if wide else None
grid = st.grid(2, min_column_width=500, gap="medium")
with table_at or grid.cell():
    shown.section(at, alarms, said)
with grid.cell():
    learning.section(comparison)
cost_at = st.container() if wide else grid.cell()
with grid.cell():
    tradeoff.section(comparison)
with grid.cell():
    calibration.section(comparison)
with cost_at:
    st.subheader("Cost", anchor=False)
    tables.show(tables.fact_table(costs, comparison.contenders, "cost", "unit"))

if not why:
    funnels.section(comparison)
pairs.show(at(k))
slices_view.show(comparison)
votes.section(comparison)
comparing.settings(comparison)
if not why:
    st.page_link(
        "views/recommend.py",
        label="What would they recommend to one user?",
        icon=":material/recommend:",
        query_params={"runs": ",".join(c.run_id for c in comparison.contenders if c.run_id)},
    )
