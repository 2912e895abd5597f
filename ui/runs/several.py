"""What can be done with several runs at once: compare, stop, tag, move to the trash."""

from collections.abc import Sequence

import streamlit as st

import engine
from engine import compare
from engine.runs import Run
from ui.runs import annotations, parallel, table
from ui.shared import states, words


def section(ticked: Sequence[Run], runs: Sequence[Run]) -> None:
    """Actions on the runs that are ticked, and a chart of what differs; nothing for fewer than two."""
    if len(ticked) > 1:
        _actions(ticked, runs)
        parallel.section(ticked)


def _actions(ticked: Sequence[Run], runs: Sequence[Run]) -> None:
    """A row of actions on the runs that are ticked.

    Args:
        runs: all runs, for their tags and for what depends on one.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="runs.several"):
        st.markdown(f"**{words.count(len(ticked))} runs ticked**", width="content")
        why = _why_not_compared(ticked)
        st.page_link(
            "compare/page.py", label="Compare", icon=":material/balance:", disabled=why is not None, help=why,
            query_params={"runs": ",".join(run.run_id for run in ticked)},
        )  # fmt: skip
        _stop([run for run in ticked if run.live and engine.runs.why_not_stopped(run) is None])
        _tag(ticked, runs)
        annotations.throw_several(ticked, runs)


def _why_not_compared(ticked: Sequence[Run]) -> str | None:
    """Why these cannot be compared, in a sentence; None where they can."""
    if not all(run.kind == "train" and states.is_in(run, "FINISHED") for run in ticked):
        return "Only finished training runs can be compared."
    if len({run.dataset for run in ticked}) > 1:
        return "They were trained on different datasets; runs of one dataset can be compared."
    return f"At most {compare.MOST_LOOKS} runs are compared." if len(ticked) > compare.MOST_LOOKS else None


def _stop(live: Sequence[Run]) -> None:
    """A popover that stops the live ones."""
    with st.popover("Stop", icon=":material/stop_circle:", disabled=not live, help=None if live else "None of these is running and yours."):
        st.markdown(f"Stop {words.count(len(live))} runs? Their processes end. What trainings of networks have learnt can be kept.")
        keep = any(table.has_ranks(run) for run in live) and st.button("Stop and keep", type="primary", key="several.keep")
        if keep or st.button("Stop and discard", key="several.discard"):
            for run in live:
                engine.runs.cancel_request(run.run_id, keep and table.has_ranks(run))
            annotations.done(lambda: None, f"Stopping {len(live)} runs")


def _tag(ticked: Sequence[Run], runs: Sequence[Run]) -> None:
    """A popover that adds tags to all of them."""
    with st.popover("Tag", icon=":material/label:"):
        known = list(dict.fromkeys(one for run in runs for one in run.tags))
        tags = st.multiselect(
            "Tags to add", known, accept_new_options=True, max_selections=engine.runs.MOST_TAGS, key="several.tags"
        )  # fmt: skip

        def write() -> None:
            for run in ticked:
                engine.runs.tag(run.run_id, list(dict.fromkeys([*run.tags, *tags])))

        if st.button(f"Tag {len(ticked)} runs", type="primary", disabled=not tags, key="several.tag"):
            annotations.done(write, f"Tagged {len(ticked)} runs")
