"""On every page: the title of the tab says how many runs are under way, and a toast and the title say when one has ended."""

import time

import streamlit as st

import engine
from engine.runs import Run, StoreError
from ui.shared import states, words

LIVE, SAID, CHECKED = "notices.live", "notices.said", "notices.checked"  # in the session
EVERY_S = 5.0
MOST = 60  # of the newest runs, those that are looked at


def follow(page: str) -> None:
    """Look after the runs that are under way while the page is open. page: its title, which ours goes before."""

    @st.fragment(run_every=EVERY_S if _look() else None)
    def part() -> None:
        _look()
        _tell(page)

    part()


def _look() -> bool:
    """Note which runs are live and which have ended since the last look, which is not made anew within a second; whether one is live."""
    now = time.monotonic()
    if LIVE in st.session_state and now - st.session_state.get(CHECKED, 0.0) < 1.0:
        return bool(st.session_state[LIVE])
    try:
        runs = {run.run_id: run for run in engine.runs.list_runs(limit=MOST)}
    except StoreError:  # the page says so
        return False
    before = st.session_state.get(LIVE, [])
    st.session_state[CHECKED] = now
    st.session_state[LIVE] = [run_id for run_id, run in runs.items() if run.live]
    ended = [runs[run_id] for run_id in before if run_id in runs and not runs[run_id].live]
    st.session_state[SAID] = [*st.session_state.get(SAID, []), *map(_sentence, ended)]
    return bool(st.session_state[LIVE])


def _sentence(run: Run) -> str:
    return f"{run.title}: {states.look(run.state).label.lower()}"


def _tell(page: str) -> None:
    """Toasts of what has ended, and the title of the tab."""
    said, live = st.session_state.get(SAID, []), st.session_state.get(LIVE, [])
    for sentence in said:
        st.toast(words.md(sentence, 120), icon=":material/notifications:")
    st.session_state[SAID] = []
    under_way = f"{words.count(len(live))} running · " if live else ""
    first = f"✓ {words.plain(said[0], 60)} · " if said else under_way
    if first or st.session_state.get("notices.title"):
        st.set_page_config(page_title=f"{first}{page}")
    st.session_state["notices.title"] = bool(first)
