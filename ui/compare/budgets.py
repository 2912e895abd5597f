"""What another trial brings, on the Compare page: the expected best of n trials of each contender that searched."""

import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import BudgetCurve, Comparison, Over
from ui.compare import verdict
from ui.shared import address, charts, contents, words

OVER = {"trials": "Trials", "seconds": "Seconds"}
AXES: dict[Over, str] = {"trials": "trials", "seconds": "seconds of search"}
EXPECTED = "Thick: the best that n trials are expected to find (Dodge et al., EMNLP 2019). Thin: the best so far, in the order of trials."
FAINT = 0.45


@st.fragment  # a choice here draws this part of the page alone
def section(comparison: Comparison) -> None:
    """The curves of a metric over trials or seconds, and whom to take for which budget; bound to ?tried= and ?budget=.

    Nothing where no contender searched over two trials or more.
    """
    metrics = engine.compare.budget_metrics(comparison)
    if not metrics:
        return
    contents.header("Budget")
    left, right = st.columns([3, 2])
    with left:
        labels = {key: f"{engine.specs.METRICS[key].label} (validation)" for key in metrics}
        metric = address.select("Expected best", "compare.tried", "tried", labels)
    with right:
        over: Over = "seconds" if address.select("Over", "compare.budget", "budget", OVER) == "seconds" else "trials"
    curves = engine.compare.budget_curves(comparison, metric)
    if not curves:
        st.caption("No search measured this in two trials or more.")
        return
    said = engine.compare.takeover_sentence(comparison, curves, metric, over)
    if said:
        st.markdown(verdict.markdown(said))
    label = engine.specs.METRICS[metric].label
    alt = f"Expected best {label} of {len(curves)} searches over {AXES[over]}. {engine.compare.plain(said)}"
    charts.show(figure(comparison, curves, over, f"{label} (validation)"), alt, key="compare.budget.chart")
    _remarks(comparison, curves, metric)


def _remarks(comparison: Comparison, curves: list[BudgetCurve], metric: str) -> None:
    """How to read it, who is not drawn, and links to the searches."""
    drawn = {one.letter for one in curves}
    without = [c.letter for c in comparison.contenders if c.run_id is not None and c.letter not in drawn]
    notes = [EXPECTED, *engine.compare.reading_notes(curves, metric, comparison)]
    notes += [f"No such search of {', '.join(without)}."] if without else []
    st.caption(" ".join(notes))
    short = engine.compare.names(comparison.contenders)
    with st.container(horizontal=True, gap="medium"):
        for one in comparison.contenders:
            if one.letter in drawn:
                label = f"What {one.letter} {words.md(short[one.letter], 40)} tried"
                st.page_link("runs/page.py", label=label, icon=":material/query_stats:", query_params={"run": one.runs[0]})


def figure(comparison: Comparison, curves: list[BudgetCurve], over: Over, y: str) -> go.Figure:
    """A thick line for each contender's expectation, a thin one in steps for the best so far in the order of its trials."""
    short, places = engine.compare.names(comparison.contenders), {c.letter: c.color_index for c in comparison.contenders}
    drawn = charts.blank(AXES[over], y, charts.room(len(curves)), legend=True)
    for one in curves:
        look = compare.look(places[one.letter])
        name = words.html(f"{one.letter} {short[one.letter]}", 40)
        trials = list(range(1, len(one.expected) + 1))
        line = {"color": look.color, "dash": look.dash, "width": 2.5}
        drawn.add_scatter(
            x=trials if over == "trials" else one.seconds, y=one.expected, name=name, legendgroup=name, mode="lines+markers", line=line,
            marker={"symbol": look.marker, "size": 6}, hovertemplate="%{y:.4g}",
        )  # fmt: skip
        drawn.add_scatter(
            x=trials if over == "trials" else one.passed, y=one.so_far, name=f"{name}, in order", legendgroup=name, mode="lines",
            line={"color": look.color, "width": 1, "shape": "hv"}, opacity=FAINT, showlegend=False, hoverinfo="skip",
        )  # fmt: skip
    ends = [one.seconds[-1] for one in curves]
    if over == "seconds" and max(ends) > charts.LOG_FROM * min(ends):
        drawn.update_xaxes(type="log")
    return drawn
