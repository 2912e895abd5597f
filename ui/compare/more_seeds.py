"""What rests on one seed: a button that trains it with more, and a link that adds those that were trained already."""

import streamlit as st

import engine
from engine.compare import Comparison
from ui.runs import launch
from ui.shared import words

SEEDS = 3


def offer(comparison: Comparison) -> None:
    """Repeat contenders of one seed over SEEDS; nothing where the verdict rests on no such contender."""
    verdict = engine.compare.verdict_of(comparison)
    letters = {letter for _, judged in verdict.of_stages() for letter in judged.one_seed if judged.runs}
    alone = [one for one in comparison.contenders if one.letter in letters and one.run_id is not None]
    if not alone:
        return
    more = {one.letter: engine.compare.more_seeds(one.run_id or "", SEEDS) for one in alone}
    there = [run_id for own in more.values() for run_id in own.there]
    if there:
        ids = [run_id for one in comparison.contenders for run_id in one.runs]
        label = f"Add {words.count(len(there))} more seed{'s' if len(there) > 1 else ''} that were trained"
        st.page_link("compare/page.py", label=label, icon=":material/casino:", query_params={"runs": ",".join([*ids, *there])})
    specs = [spec for own in more.values() for spec in own.missing]
    if not specs:
        return
    with st.popover(f"Repeat over {SEEDS} seeds", icon=":material/casino:"):
        who = ", ".join(letter for letter, own in more.items() if own.missing)
        st.markdown(f"Trains {who} with other seeds and the same settings: {words.count(len(specs))} runs. {_time(comparison, more)}")
        launched = launch.button(specs, True, "compare.seeds", f"Train {words.count(len(specs))} runs")
        if launched:
            ids = [run_id for one in comparison.contenders for run_id in one.runs]
            st.page_link("runs/page.py", label="Watch them", icon=":material/list:")
            st.page_link(
                "compare/page.py", label="Compare with them", icon=":material/balance:", query_params={"runs": ",".join([*ids, *launched])}
            )


def _time(comparison: Comparison, more: dict[str, engine.compare.MoreSeeds]) -> str:
    """How long that takes by the runs that are there; empty where it is not known."""
    seconds = 0.0
    for one in comparison.contenders:
        if one.letter in more and one.run_id is not None:
            run = engine.runs.get_run(one.run_id)
            if run.started_at is None or run.ended_at is None:
                return ""
            seconds += len(more[one.letter].missing) * (run.ended_at - run.started_at).total_seconds()
    return f"About {words.duration(seconds)}, by what the first ones took."
