"""Figures: a DataFrame in, a plotly figure out. Transparent, so that one template serves light and dark; SVG, never WebGL."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from engine.compare import COLORS, GRAY, Look, look
from ui.shared import words

MOST_POINTS = 2000
X_AXES = {"epoch": "epoch", "step": "step", "time_s": "time since the first step (s)", "rows": "rows seen"}
LOG_FROM = 20  # costs whose ratio exceeds this get a log axis
_OFFSETS = {
    "middle right": np.array([16, 0]), "middle left": np.array([-16, 0]), "top right": np.array([13, 13]),
    "bottom right": np.array([13, -13]), "top left": np.array([-13, 13]), "bottom left": np.array([-13, -13]),
    "top center": np.array([0, 16]), "bottom center": np.array([0, -16]),
}  # fmt: skip
GRID = "rgba(128,138,150,0.22)"


def show(figure: go.Figure, alt: str, key: str) -> None:
    """Draw a figure; the key keeps zoom and selection when its data grow."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]})


def thinned(frame: pd.DataFrame, most: int = MOST_POINTS) -> pd.DataFrame:
    """At most `most` rows; neighbouring rows are averaged."""
    if len(frame) <= most:
        return frame
    bucket = np.arange(len(frame)) * most // len(frame)
    return frame.groupby(bucket)[list(frame.select_dtypes("number").columns)].mean().reset_index(drop=True)


def room(contenders: int) -> int:
    """The height in pixels of a figure with a legend of two entries per line above it."""
    return 400 + 20 * max(0, (contenders + 1) // 2 - 2)


def blank(x: str, y: str, height: int = 300, legend: bool = False) -> go.Figure:
    """An empty figure with axis titles and a transparent background."""
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
    figure.update_xaxes(title={"text": x, "standoff": 10}, gridcolor=GRID, zeroline=False, automargin=False)
    figure.update_yaxes(title={"text": y, "standoff": 10}, gridcolor=GRID, zeroline=False, automargin=False)
    return figure


def curves(
    frame: pd.DataFrame,
    looks: Mapping[str, tuple[str, Look]],
    x: str,
    y: str,
    height: int = 300,
    smooth: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
) -> go.Figure:
    """One line per contender, with a gap where a value was not finite; behind a smoothed line, the measured values are drawn faintly.

    Args:
        frame: columns contender, value (nan where it was not finite) and the one named by `x`.
        looks: contender -> (name in the legend, look), in legend order.
        x: epoch, step, time_s or rows.
        y: the axis title.
        smooth: weight of what came before, in [0, 1); see `smoothed`.
        log_x, log_y: logarithmic axes; values of zero and less are left out.
    """
    figure = blank(X_AXES.get(x, x), y, height, legend=len(looks) > 1)
    for contender, (name, drawn) in looks.items():
        line = frame.loc[frame["contender"] == contender, [x, "value"]].dropna(subset=[x]).sort_values(x)
        line = line[(line[x] > 0) | (not log_x)]
        line = line[~(line["value"] <= 0) | (not log_y)]
        if line["value"].isna().all():
            continue
        if smooth and len(line) > 1:
            _line(figure, thinned(line), x, words.html(name, 40), drawn, faint=True)
            line = line.assign(value=smoothed(line["value"], smooth).where(line["value"].notna()))
        _line(figure, thinned(line), x, words.html(name, 40), drawn)
    if x == "epoch" and not log_x and len(frame) and frame["epoch"].max() <= 12:  # no ticks between epochs
        figure.update_xaxes(tick0=1, dtick=1)
    if log_x:
        figure.update_xaxes(type="log")
    if log_y:
        figure.update_yaxes(type="log")
    return figure


def smoothed(values: pd.Series, weight: float) -> pd.Series:
    """Exponential moving average with bias correction: s_t = sum of weight^(t-i) x_i over that of weight^(t-i), i <= t.

    The bias correction is that of Adam (Kingma and Ba 2015, section 3); weight in [0, 1), 0 leaves the values as they are.
    """
    return values.ewm(alpha=1 - weight, adjust=True).mean()


def _line(figure: go.Figure, line: pd.DataFrame, x: str, name: str, drawn: Look, faint: bool = False) -> None:
    """A contender's line; a faint one has no legend entry, markers or hover text."""
    style: dict[str, Any] = {"showlegend": False, "hoverinfo": "skip", "opacity": 0.28} if faint else {"hovertemplate": "%{y:.4g}"}
    figure.add_scatter(
        x=line[x],
        y=line["value"],
        name=name,
        legendgroup=name,
        mode="lines+markers" if len(line) <= 30 and not faint else "lines",
        line={"color": drawn.color, "dash": "solid" if faint else drawn.dash, "width": 1 if faint else 2},
        marker={"symbol": drawn.marker, "size": 7},
        **style,
    )


def loss_curve(history: pd.DataFrame, metric: str, x: str, y: str) -> go.Figure:
    """One series of one run, with a running mean over it where the steps are many and noisy."""
    line = history[history["metric"] == metric].sort_values(x)
    figure = curves(line.assign(contender="run"), {"run": (y, look(0))}, x, y, height=260)
    if len(line) > 60 and figure.data:
        means = line[["value"]].ewm(span=max(10, len(line) // 25)).mean().where(line[["value"]].notna())
        smooth = means.assign(x=line[x].to_numpy())
        smooth = thinned(smooth)
        figure.update_traces(opacity=0.35, line={"width": 1})
        figure.add_scatter(x=smooth["x"], y=smooth["value"], mode="lines", line={"color": COLORS[0], "width": 2}, name="running mean")
        figure.data[-1].hovertemplate = "%{y:.4g}"
    return figure


def quality_cost(frame: pd.DataFrame, x: str, y: str, popularity: float | None = None, height: int = 300, rising: bool = True) -> go.Figure:
    """Contenders by cost and quality; the cost axis is logarithmic where costs differ by more than twenty times.

    Args:
        frame: columns letter, name, x, y, low, high, color, marker and, where there is a front, front: who is on it. Those are
            drawn opaque and joined by steps. One row per contender.
        popularity: the baseline's quality, drawn as a line.
        rising: whether a larger x costs more.
    """
    log = bool(len(frame) and frame["x"].min() > 0 and frame["x"].max() > LOG_FROM * frame["x"].min())
    figure = blank(x, y, height, legend=True)
    along = frame["x"].to_numpy(float)
    front = frame["front"].to_numpy(bool) if "front" in frame else np.ones(len(frame), bool)
    joined = front & ("front" in frame and front.sum() > 1)
    places = label_places(np.log(along) if log else along, frame["y"].to_numpy(float), popularity, joined.tolist())
    if joined.any():
        stair = frame[front].sort_values(["x", "y"])
        shape = {"color": GRAY, "width": 1.5, "shape": "hv" if rising else "vh"}
        figure.add_scatter(x=stair["x"], y=stair["y"], mode="lines", line=shape, name="Pareto front", hoverinfo="skip")
    for row, place, on_it in zip(frame.to_dict("records"), places, front, strict=True):
        _point(figure, row, place, bool(on_it))
    if popularity is not None and not words.missing(popularity):
        figure.add_hline(y=popularity, line={"color": GRAY, "dash": "dot"}, annotation_text="popularity", annotation_position="top right")
    figure.update_layout(hovermode="closest")
    if log:
        ticks = _log_ticks(frame["x"].min(), frame["x"].max())
        figure.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{tick:,g}" for tick in ticks])
    else:
        figure.update_xaxes(rangemode="tozero")
    return figure


def _point(figure: go.Figure, row: Mapping[Hashable, Any], place: str, on_front: bool) -> None:
    """One contender with its interval and its letter; paler and smaller where another is better in both."""
    error = None
    if pd.notna(row["low"]) and pd.notna(row["high"]):
        up, down = row["high"] - row["y"], row["y"] - row["low"]
        error = {"type": "data", "symmetric": False, "array": [up], "arrayminus": [down], "thickness": 1, "width": 3}
    name = words.html(f"{row['letter']} {row['name']}", 40)
    border = {"width": 2 if "open" in row["marker"] else 0}
    strength = {"size": 12, "opacity": 1} if on_front else {"size": 9, "opacity": 0.55}
    figure.add_scatter(
        x=[row["x"]],
        y=[row["y"]],
        error_y=error,
        name=name,
        mode="markers+text",
        text=[f" {words.html(row['letter'])} "],
        textposition=place,
        cliponaxis=False,
        marker=strength | {"symbol": row["marker"], "color": row["color"], "line": border},
        hovertemplate=f"{name}<br>%{{x:.4g}} · %{{y:.4g}}<extra></extra>",
    )


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20 … around what is drawn; over more than three decades, or for large numbers, the powers of ten alone."""
    steps = (1,) if high > 1000 * low or high > 10_000 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**decade for decade in decades for step in steps]


def label_places(
    x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, line: float | None = None, joined: Sequence[bool] | None = None
) -> list[str]:
    """Where to place each point's letter, so that letters cover neither points, nor a horizontal line, nor each other.

    Args:
        x, y: coordinates of the points, as logarithms where an axis is logarithmic.
        line: height of a line across the figure.
        joined: [R] which points the steps join: their letters are placed diagonally.
    """
    drawn = _scaled(x, 420), _scaled([*y, *([] if words.missing(line) or line is None else [line])], 200)  # pixels, about
    points, level = np.column_stack([drawn[0], drawn[1][: len(x)]]), drawn[1][len(x) :]
    taken, chosen = list(points), []
    for at, point in enumerate(points):
        aslant = joined is not None and joined[at]
        boxes = {place: point + offset for place, offset in _OFFSETS.items() if not aslant or offset.all()}
        crowds = {
            place: sum(bool(np.hypot(*(box - other)) < 15) for other in taken) + int((abs(level - box[1]) < 9).sum())
            for place, box in boxes.items()
        }
        best = min(crowds, key=crowds.__getitem__)
        taken.append(boxes[best])
        chosen.append(best)
    return chosen


def _scaled(values: Sequence[float] | np.ndarray, pixels: float) -> np.ndarray:
    numbers = np.asarray(values, float)
    return (numbers - numbers.min()) / (np.ptp(numbers) or 1) * pixels if len(numbers) else numbers
