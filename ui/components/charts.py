"""Figures: a DataFrame in, a plotly figure out. Transparent, so that one template serves light and dark; SVG, never WebGL."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from ui.components import words

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "triangle-up", "square", "diamond", "cross", "x")
GLYPHS = ("●", "▲", "■", "◆", "✚", "✖")
GRAY = "#8a929c"
MOST_POINTS = 2000
X_AXES = {"epoch": "epoch", "step": "step", "time_s": "time since the first step (s)", "rows": "rows seen"}
_GRID = "rgba(128,138,150,0.22)"


class Look(NamedTuple):
    """How a contender is drawn everywhere: never by colour alone."""

    color: str
    dash: str
    marker: str
    glyph: str


def look(index: int, baseline: bool = False) -> Look:
    """The look of the contender at a place; baselines are gray."""
    at = index % len(COLORS)
    shape = (index + index // len(COLORS)) % len(COLORS)  # the seventh has the first one's colour, and a shape of its own
    return Look(GRAY if baseline else COLORS[at], "dot" if baseline else DASHES[shape], MARKERS[shape], GLYPHS[shape])


def show(figure: go.Figure, alt: str, key: str) -> None:
    """Draw a figure; the key keeps zoom and selection when its data grow."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]})


def thinned(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """At most `most` rows: neighbours are averaged, so that the line keeps its course."""
    if len(frame) <= most:
        return frame
    bucket = np.arange(len(frame)) * most // len(frame)
    return frame.groupby(bucket)[list(frame.select_dtypes("number").columns)].mean().reset_index(drop=True)


def blank(x: str, y: str, height: int = 300, legend: bool = False) -> go.Figure:
    """A figure with nothing on it yet: axes titled, ground transparent."""
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 12, "t": 28 if legend else 10, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="x unified",
        uirevision="kept",
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        font={"size": 13},
    )
    figure.update_xaxes(title={"text": x, "standoff": 10}, gridcolor=_GRID, zeroline=False, automargin=False)
    figure.update_yaxes(title={"text": y, "standoff": 10}, gridcolor=_GRID, zeroline=False, automargin=False)
    return figure


def curves(frame: pd.DataFrame, looks: Mapping[str, tuple[str, Look]], x: str, y: str, height: int = 300) -> go.Figure:
    """One line a contender.

    Args:
        frame: columns contender, value and the one named by `x`.
        looks: contender -> (name in the legend, look), in legend order.
        x: epoch, step, time_s or rows.
        y: the axis title.
    """
    figure = blank(X_AXES.get(x, x), y, height, legend=len(looks) > 1)
    for contender, (name, drawn) in looks.items():
        line = thinned(frame.loc[frame["contender"] == contender, [x, "value"]].dropna().sort_values(x))
        if line.empty:
            continue
        figure.add_scatter(
            x=line[x],
            y=line["value"],
            name=words.html(name, 40),
            mode="lines+markers" if len(line) <= 60 else "lines",
            line={"color": drawn.color, "dash": drawn.dash, "width": 2},
            marker={"symbol": drawn.marker, "size": 7},
            hovertemplate="%{y:.4g}",
        )
    if x == "epoch" and len(frame) and frame["epoch"].max() <= 12:  # there is no epoch 1.5
        figure.update_xaxes(tick0=1, dtick=1)
    return figure


def loss_curve(history: pd.DataFrame, metric: str, x: str, y: str) -> go.Figure:
    """One series of one run, with a running mean over it where the steps are many and noisy."""
    line = history[history["metric"] == metric].sort_values(x)
    figure = curves(line.assign(contender="run"), {"run": (y, look(0))}, x, y, height=260)
    if len(line) > 60:
        smooth = line[["value"]].ewm(span=max(10, len(line) // 25)).mean().assign(x=line[x].to_numpy())
        smooth = thinned(smooth)
        figure.update_traces(opacity=0.35, line={"width": 1})
        figure.add_scatter(x=smooth["x"], y=smooth["value"], mode="lines", line={"color": COLORS[0], "width": 2}, name="running mean")
        figure.data[-1].hovertemplate = "%{y:.4g}"
    return figure


def quality_cost(frame: pd.DataFrame, x: str, y: str, popularity: float | None = None) -> go.Figure:
    """Contenders by what they cost and what they reach.

    Args:
        frame: columns name, x, y, low, high, color, marker; one row a contender.
        popularity: what the baseline reaches at no cost, drawn as a line.
    """
    figure = blank(x, y, 300)
    for row in frame.to_dict("records"):
        error = None
        if pd.notna(row["low"]) and pd.notna(row["high"]):
            up, down = row["high"] - row["y"], row["y"] - row["low"]
            error = {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down], "thickness": 1}
        name = words.html(row["name"], 40)
        figure.add_scatter(
            x=[row["x"]],
            y=[row["y"]],
            error_y=error,
            mode="markers+text",
            text=[f"  {name}"],
            textposition="middle right",
            cliponaxis=False,
            marker={"size": 12, "symbol": row["marker"], "color": row["color"]},
            hovertemplate=f"{name}<br>%{{x:.4g}} · %{{y:.4g}}<extra></extra>",
        )
    if popularity is not None and not words.missing(popularity):
        figure.add_hline(y=popularity, line={"color": GRAY, "dash": "dot"}, annotation_text="popularity", annotation_position="top right")
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(rangemode="tozero")
    return figure
