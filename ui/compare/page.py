"""Compare: runs of one dataset against each other and against popularity: verdict, metrics, curves, settings, cost."""

from functools import partial

import streamlit as st

import engine
from ui.compare import (
    backtest,
    budgets,
    calibration,
    contenders,
    curves,
    funnels,
    growth,
    guide,
    metric_tables,
    metrics,
    more_seeds,
    pairs,
    protocol,
    setup,
    slices,
    stress,
    tradeoff,
    verdict,
)
from ui.recommend import votes
from ui.runs import annotations
from ui.shared import address, contents, help_link, layout, picker, tables, words

layout.header("Compare", "Runs on the same prepared dataset, measured under one protocol, with popularity and random beside them.")
help_link.show("protocol", "What is compared, exactly")

finished = picker.finished()
if not finished:
    if address.values("runs"):
        annotations.missing("finished run", address.values("runs"))
    layout.empty(
        "No training has finished yet. Train two models to compare them.",
        "train/page.py",
        "Train models",
        ":material/model_training:",
    )
    st.stop()

left, right = st.columns([4, 1])
with left:
    chosen, unknown = picker.pick_runs("compare.runs", finished, picker.last_comparison(finished) or [finished[0].run_id])
if unknown:
    annotations.missing("finished run", unknown)
if not chosen:
    st.info("Choose one or more finished runs above.")
    st.stop()

try:
    engine.compare.seed_groups(chosen)
except ValueError as error:  # such as results that were changed since
    st.error(words.md(error, 1000), icon=":material/block:")
    st.stop()
with right:
    baseline_at = st.container()
    seeds = contenders.seeds_as_one(engine.compare.seed_groups(chosen))
with baseline_at:
    baseline = setup.baseline(engine.compare.seed_groups(chosen, seeds))
    matters = setup.threshold()
    target = setup.question(engine.compare.seed_groups(chosen, seeds)[0][0])
with st.spinner("Reading results and resampling users for the intervals …"):
    comparison = setup.compared(tuple(chosen), baseline, seeds, matters, target=target)
setup.apart(comparison)
why = setup.no_ranking(comparison)
if why:
    st.info(words.md(why, 600), icon=":material/person_off:")
said = verdict.sentences(comparison)
if said:
    with st.container(border=True):
        st.markdown("\n\n".join(said))
        more_seeds.offer(comparison)
        st.caption(f"{words.md(setup.dataset_name(comparison))} · intervals are 95 %")

if not why:
    protocol.show(comparison)
contents_at = contents.start()
guide.section(comparison)
alarms = engine.compare.verdict_of(comparison).alarms
contenders.what_looks_wrong(comparison.contenders, alarms)

costs = comparison.costs.rename(columns={"fact": "cost"})
k, at = metrics.drawn_at(), partial(setup.compared, tuple(chosen), baseline, seeds, matters, target=target)
wide = metrics.turned() or len(comparison.contenders) > setup.BESIDE
curved = calibration.known(comparison)  # a chart more: then no row is left half empty
table_at = st.container() if wide else None
grid = st.grid(3 if wide and curved else 2, min_column_width=390 if wide and curved else 500, gap="medium")
with table_at or grid.cell():
    metrics.section(at, alarms)
with grid.cell():
    curves.section(comparison)
with grid.cell():
    tradeoff.section(comparison)
if curved:
    with grid.cell():
        calibration.section(comparison)
with st.container() if wide or curved else grid.cell():
    contents.header("Cost")
    tables.show(metric_tables.fact_table(costs, comparison.contenders, "cost", "unit"))

if not why:
    funnels.section(comparison)
budgets.section(comparison)
growth.section(comparison)
backtest.section(comparison)
pairs.show(at(k))
slices.show(comparison)
stress.show(comparison)
votes.section(comparison)
setup.settings(comparison)
contents.finish(contents_at)
if not why:
    st.page_link(
        "recommend/page.py",
        label="What would they recommend to one user?",
        icon=":material/recommend:",
        query_params={"runs": ",".join(c.run_id for c in comparison.contenders if c.run_id)},
    )
