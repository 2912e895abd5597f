"""The log of a run: opens at its end and follows, a tab for each process, searched and downloaded; libraries speak on demand."""

import streamlit as st

import engine
from engine.runs import PRINTED, LogLine, Run
from ui.shared import address, states, words

MOST_RANKS = 16  # with a tab each, beside those that have written
MOST_LINES = 2000  # that are drawn
ALL = "all"
NAMES = {ALL: "All", PRINTED: "Spark and libraries"}
SILENT = "It has written nothing so far. Rank 0 speaks for all ranks; the others write when something is wrong."


def pane(run: Run) -> None:
    """The log, open for live and failed runs."""
    with st.expander("Log", expanded=run.live or states.is_in(run, "FAILED"), icon=":material/notes:", key=f"log.{run.run_id}"):
        lines = engine.runs.log_lines(run.run_id)
        if not lines:
            st.caption("The log is empty so far.")
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            who = _tab(run, lines)
            wanted = st.text_input(
                "Search the log",
                key=f"log.search.{run.run_id}",
                placeholder="Search",
                label_visibility="collapsed",
                width=220,
                max_chars=200,
            )
            tooltip = "Those of TorchRec, Spark and others; their errors are always shown."
            everything = st.toggle("Lines of libraries too", key=f"log.libraries.{run.run_id}", help=tooltip)
            st.download_button(
                "Download", lambda: engine.runs.log_text(run.run_id), f"{run.run_id}.log", "text/plain", icon=":material/download:",
                key=f"log.download.{run.run_id}", on_click="ignore",
            )  # fmt: skip
        _lines(run, lines, who, (wanted or "").strip(), everything)
    address.remember(None, "run", run.run_id)


def _tab(run: Run, lines: list[LogLine]) -> str:
    """The process whose lines are shown, or ALL."""
    spec = run.spec
    ranks = spec.train.processes if isinstance(spec, engine.specs.RunSpec) and spec.model.module is None else 0
    spoke = dict.fromkeys(line.who for line in lines)
    tabs = list(
        dict.fromkeys([ALL, *(who for who in spoke if who != PRINTED), *(f"rank {rank}" for rank in range(min(ranks, MOST_RANKS)))])
    )
    tabs += [PRINTED] if PRINTED in spoke else []
    chosen = st.segmented_control(
        "Process", tabs, default=ALL, required=True, format_func=lambda who: NAMES.get(who, words.plain(who, 40).capitalize()),
        key=f"log.who.{run.run_id}", label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    return chosen or ALL


def _lines(run: Run, lines: list[LogLine], who: str, wanted: str, everything: bool) -> None:
    """The lines of a process that hold what is searched for."""
    own = [line for line in lines if line.who == who or (who == ALL and (line.who != PRINTED or everything))]
    shown = [line for line in own if line.ours or everything or who == PRINTED]
    found = [line for line in shown if wanted.lower() in line.text.lower()]
    if not own:
        st.caption(SILENT)
        return
    if wanted or len(shown) < len(own):
        hidden = f"{words.count(len(own) - len(shown))} lines of libraries are not shown" if len(shown) < len(own) else ""
        matches = f"{words.count(len(found))} of {words.count(len(shown))} lines" if wanted else ""
        st.caption(" · ".join(part for part in (matches, hidden) if part))
    if not found:
        return
    with st.container(height=340 if len(found) > 11 else "content", autoscroll=True, border=False, key=f"log.lines.{run.run_id}"):
        st.code("\n".join(line.text for line in found[-MOST_LINES:]), language=None, wrap_lines=True)
