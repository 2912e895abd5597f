"""Home: a first comparison in one click, the queue, the last comparison."""

import streamlit as st

import engine
from ui.home import last_verdict
from ui.runs import live as live_runs
from ui.shared import address, layout, picker, words


def start_tour() -> None:
    """Launch the three runs once, even on a double click."""
    if st.session_state.get("tour"):
        return
    try:
        st.session_state["tour"] = engine.runs.submit_tour()
        st.session_state["tour.follow"] = True
    except (LookupError, ValueError, OSError) as error:
        st.session_state["tour.refused"] = str(error)


def open_comparison(run_ids: list[str]) -> None:
    st.switch_page("compare/page.py", query_params={"runs": ",".join(run_ids)})


layout.header("Recommender workbench", "Same data, same split, same metrics: choose a recommender by comparing trained ones.")

runs = engine.runs.list_runs()
known = {run.run_id for run in runs}
datasets = engine.datasets.list_datasets()
live = [run for run in runs if run.live]
last = picker.last_comparison(runs)
requested = address.values("tour")
tour = st.session_state.get("tour") or (requested if len(requested) == 3 and known.issuperset(requested) else [])
if refused := st.session_state.pop("tour.refused", None):
    st.error(words.md(refused, 600), icon=":material/error:", title="Not launched")

if tour:
    address.remember(None, "tour", tour)
    with st.container(border=True):
        st.header("Sample ratings: prepare, train both, compare", anchor=False)
        st.caption("This continues when you leave or close the page. The comparison opens here when all three are finished.")
        if live_runs.watch(tour):
            st.session_state.pop("tour", None)
            if st.session_state.pop("tour.follow", False):
                open_comparison(tour[1:])
            if st.button("Open the comparison", type="primary", icon=":material/balance:"):
                open_comparison(tour[1:])
        elif not any(engine.runs.get_run(run_id).live for run_id in tour):
            st.session_state.pop("tour", None)
            st.button("Try again", icon=":material/refresh:", on_click=start_tour)
elif not runs:
    with st.container(border=True):
        st.header("Start here", anchor=False)
        st.markdown(
            "Prepare generated sample ratings with Spark, train a **two-tower** (retrieval) and a **DLRM** (ranking) on them, "
            "and see the two side by side: metrics, curves, cost, and what each would recommend to one user. "
            "Under three minutes on two cores; nothing is downloaded."
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Load sample ratings and compare", type="primary", icon=":material/play_arrow:", on_click=start_tour)
            st.page_link(
                "data/page.py",
                label="or bring your own data",
                icon=":material/upload_file:",
                query_params={"view": "new", "source": "table"},
            )

if runs or datasets:
    layout.live(live_runs.counters, bool(live), seconds=3.0)

others = [run.run_id for run in live if run.run_id not in tour]
if others:
    st.header("Queue", anchor=False)
    live_runs.watch(others[:8])
    if len(others) > 8:
        st.page_link("runs/page.py", label=f"{len(others) - 8} more", icon=":material/list_alt:")

if last and not tour:
    st.header("Last comparison", anchor=False)
    by_id = {run.run_id: run for run in runs}
    with st.container(border=True):
        st.markdown(
            " · ".join(f"**{chr(65 + at)}** {words.md(by_id[run_id].title, 60)}" for at, run_id in enumerate(last))
            + f"  \non {words.md(by_id[last[0]].dataset_name or '')}, {words.ago(by_id[last[0]].ended_at)}"
        )
        verdict_at = st.container()
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button("Open the comparison", type="primary", icon=":material/balance:", key="last"):
                open_comparison(last)
            st.page_link(
                "recommend/page.py",
                label="See what they recommend",
                icon=":material/recommend:",
                query_params={"runs": ",".join(last)},
            )

recent = [run for run in runs if not run.live and run.run_id not in tour][:5]
if recent:
    st.header("Recent runs", anchor=False)
    titles = picker.titles(runs)
    for run in recent:
        live_runs.line(run, titles[run.run_id])
    if len(runs) > 5:
        st.page_link("runs/page.py", label="All runs", icon=":material/list_alt:")
if runs and not live and not last:
    st.page_link("train/page.py", label="Train two models to compare them", icon=":material/model_training:")
if last and not tour:
    with verdict_at:  # it may take seconds to compute, for which the rest of the page does not wait
        last_verdict.show(last)
