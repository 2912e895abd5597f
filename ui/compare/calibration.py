"""Reliability curves on the Compare page: how well each contender's predicted probabilities match what was observed."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import Comparison, Look
from ui.shared import charts, contents, words

Bins = Sequence[Mapping[str, float]]


def known(comparison: Comparison) -> bool:
    """Whether some contender predicts a probability."""
    return any(engine.compare.reliability_of(c) for c in comparison.contenders if c.run_id is not None)


def section(comparison: Comparison) -> None:
    """The curve of every contender that predicts a probability, with its ECE; no section where none does."""
    runs = [c for c in comparison.contenders if c.run_id is not None]
    curves = {c.letter: bins for c in runs if (bins := engine.compare.reliability_of(c))}
    if not curves:
        return
    contents.header("Reliability")
    short = engine.compare.names(comparison.contenders)
    errors = comparison.table[comparison.table["metric"] == "ece"].set_index("contender")["value"]
    drawn = {
        c.letter: (
            f"{words.plain(f'{c.letter} {short[c.letter]}', 40)} · ECE {words.number(errors.get(c.letter))}",
            compare.look(c.color_index),
        )
        for c in runs
        if c.letter in curves
    }
    alt = f"Reliability curves of {len(curves)} runs: predicted probability against the observed share of likes"
    charts.show(figure(curves, drawn), alt, key="compare.reliability")
    without = [c.letter for c in runs if c.letter not in curves]
    st.caption(
        engine.compare.RELIABILITY_NOTE + (f" {', '.join(without)}: no curve, as these scores are not probabilities." if without else "")
    )


def figure(curves: Mapping[str, Bins], drawn: Mapping[str, tuple[str, Look]]) -> go.Figure:
    """Predicted against observed, a line per contender; the area of a point grows with its rows.

    Args:
        curves: letter -> bins, as `engine.compare.pooled_reliability` gives them.
        drawn: letter -> (name in the legend, look), in legend order.
    """
    shown = charts.blank("predicted probability", "observed share of likes", charts.room(len(drawn)), legend=True)
    line = {"color": compare.GRAY, "dash": "dot", "width": 1.5}
    shown.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, hoverinfo="skip", showlegend=False)
    most = max(bin["rows"] for bins in curves.values() for bin in bins)
    for letter, (name, look) in drawn.items():
        rows = np.array([bin["rows"] for bin in curves[letter]], float)
        shown.add_scatter(
            x=[bin["predicted"] for bin in curves[letter]],
            y=[bin["observed"] for bin in curves[letter]],
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
