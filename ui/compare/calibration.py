"""Reliability curves on the Compare page: do the probabilities of each contender come true?"""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import Comparison, Look
from ui.shared import charts, words

Bins = Sequence[Mapping[str, float]]


def section(comparison: Comparison) -> None:
    """The curve of every contender that predicts a probability, with its ECE; nothing where none does."""
    runs = [c for c in comparison.contenders if c.run_id is not None]
    found = {c.letter: bins for c in runs if (bins := engine.compare.pooled_reliability([_bins(run_id) for run_id in c.runs]))}
    if not found:
        return
    st.subheader("Reliability", anchor=False)
    short = engine.compare.names(comparison.contenders)
    errors = comparison.table[comparison.table["metric"] == "ece"].set_index("contender")["value"]
    drawn = {
        c.letter: (
            f"{words.plain(f'{c.letter} {short[c.letter]}', 40)} · ECE {words.number(errors.get(c.letter))}",
            compare.look(c.color_index),
        )
        for c in runs
        if c.letter in found
    }
    alt = f"Reliability curves of {len(found)} runs: predicted probability against the share that is liked"
    charts.show(figure(found, drawn), alt, key="compare.reliability")
    without = [c.letter for c in runs if c.letter not in found]
    said = "Where it says 70 %, are 70 % liked? On the dotted line they are; below it a model promises too much. Larger: more rows."
    st.caption(said + (f" Of {', '.join(without)} there are no probabilities: their scores only order the catalogue." if without else ""))


def _bins(run_id: str) -> Bins:
    """The reliability table of a finished run; empty where it predicts something else, or nothing."""
    try:
        return list(engine.runs.outputs(run_id).get("reliability") or [])
    except (LookupError, OSError, ValueError):
        return []


def figure(found: Mapping[str, Bins], drawn: Mapping[str, tuple[str, Look]]) -> go.Figure:
    """Predicted against seen, a line a contender, the area of a point by the rows in it.

    Args:
        found: letter -> bins, as `engine.pooled_reliability` gives them.
        drawn: letter -> (name in the legend, look), in legend order.
    """
    shown = charts.blank("predicted probability", "share that is liked", charts.room(len(drawn)), legend=True)
    line = {"color": compare.GRAY, "dash": "dot", "width": 1.5}
    shown.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    most = max(bin["rows"] for bins in found.values() for bin in bins)
    for letter, (name, look) in drawn.items():
        rows = np.array([bin["rows"] for bin in found[letter]], float)
        shown.add_scatter(
            x=[bin["predicted"] for bin in found[letter]],
            y=[bin["observed"] for bin in found[letter]],
            name=words.html(name, 80),
            mode="lines+markers",
            line={"color": look.color, "dash": look.dash, "width": 1.5},
            marker={"symbol": look.marker, "color": look.color, "size": (5 + 11 * np.sqrt(rows / most)).tolist(), "opacity": 0.85},
            customdata=rows[:, None],
            hovertemplate=f"{words.html(name, 80)}<br>predicted %{{x:.0%}}, liked %{{y:.0%}}<br>%{{customdata[0]:,}} rows<extra></extra>",
        )
    shown.update_layout(hovermode="closest")
    shown.update_xaxes(tickformat=".0%", range=[-0.03, 1.03])
    shown.update_yaxes(tickformat=".0%", range=[-0.03, 1.03])
    return shown
