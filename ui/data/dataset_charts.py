"""Figures of an audit: facts in, a plotly figure out. Colour is never the only sign of a difference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from engine.compare import COLORS, GRAY
from engine.datasets import Audit, SplitFacts
from ui.shared import charts, words

SPLIT_LOOKS = {"train": (GRAY, ""), "valid": (COLORS[4], "/"), "test": (COLORS[0], "")}
PATTERNS = ("/", "\\", "x", "-", "|", "+", ".")
MOST_REASONS, MOST_CLASSES = 7, 30


def _hatch(shape: str) -> dict[str, Any]:
    """A pattern drawn over the colour, so that parts can be distinguished without it."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "rgba(255,255,255,0.75)", "size": 6, "solidity": 0.2}


def rows_apart(audit: Audit) -> list[tuple[str, int, str, str]]:
    """The rows read, by what happened to them: name, rows, colour, pattern. The parts add up to the rows read."""
    reasons = sorted(audit.set_aside.items(), key=lambda pair: (-pair[1], pair[0]))
    shown, rest = reasons[:MOST_REASONS], reasons[MOST_REASONS:]
    parts = [("used", audit.rows_used, COLORS[0], "")]
    parts += [(why, n, COLORS[1 + at % (len(COLORS) - 1)], PATTERNS[at % len(PATTERNS)]) for at, (why, n) in enumerate(shown)]
    if rest:
        parts.append((f"{len(rest)} other reasons", sum(n for _, n in rest), GRAY, "."))
    return parts


def reconciliation(audit: Audit) -> go.Figure:
    """One bar: rows read = rows used + rows set aside, by reason."""
    figure = charts.blank("rows read", "", 96)
    for name, rows, color, pattern in rows_apart(audit):
        figure.add_bar(
            x=[rows],
            y=[""],
            orientation="h",
            name=words.html(name, 60),
            marker={"color": color, "pattern": _hatch(pattern)},
            hovertemplate=f"{words.html(name, 80)}: %{{x:,}} rows<extra></extra>",
        )
    figure.update_layout(barmode="stack", hovermode="closest", margin={"l": 8, "t": 4, "b": 44})
    figure.update_xaxes(range=[0, max(audit.rows_read, 1)], tickformat="~s")
    figure.update_yaxes(showticklabels=False, title=None)
    return figure


def rating_histogram(ratings: Sequence[tuple[float, int]], width: float | None, threshold: float | None, liked: Sequence[str]) -> go.Figure:
    """How often each label was given, with the rule drawn on it; liked bars are filled in blue.

    Args:
        ratings: (value, rows), or (left edge, rows) of bins when `width` is given.
        width: of the bins.
        threshold: liked from here on, drawn as a line; None draws none.
        liked: the values that count as liked, as text, where classes do.
    """
    figure = charts.blank("label", "rows", 250)
    values = np.array([value for value, _ in ratings], float)
    at = values + width / 2 if width else values
    fills = [_liked(value, threshold, liked) for value in at]
    figure.add_bar(
        x=at,
        y=[n for _, n in ratings],
        width=width,
        marker={"color": np.where(fills, COLORS[0], GRAY).tolist()},
        customdata=[[f"{value:g}" if width is None else f"{value:.4g} to {value + width:.4g}"] for value in values],
        hovertemplate="%{customdata[0]}: %{y:,} rows<extra></extra>",
    )
    if threshold is not None and len(values):
        line = threshold if width else _before(values, threshold)
        figure.add_vline(x=line, line={"color": COLORS[1], "dash": "dash", "width": 2})
        right = threshold > (values.min() + values.max()) / 2  # keep the words inside the picture
        text = f"liked from {threshold:.4g} →"
        figure.add_annotation(
            x=line, y=1.02, yref="paper", yanchor="bottom", xanchor="right" if right else "left", text=text, showarrow=False
        )
    if width is None and 1 < len(values) <= 12 and np.diff(values).min() * 20 >= np.ptp(values):  # there are no values in between
        figure.update_xaxes(tickvals=values.tolist(), ticktext=[f"{value:g}" for value in values])
    figure.update_layout(bargap=0.15 if width is None else 0.02, margin={"t": 26}, hovermode="closest")
    figure.update_yaxes(tickformat="~s")
    return figure


def _before(values: np.ndarray, threshold: float) -> float:
    """Where to draw the line of a threshold: halfway from the last value below it to the first one liked."""
    below, above = values[values < threshold], values[values >= threshold]
    if not len(above):
        return threshold
    return float((below.max() + above.min()) / 2) if len(below) else float(above.min() - 0.5)


def _liked(value: float, threshold: float | None, liked: Sequence[str]) -> bool:
    return f"{value:g}" in liked if liked else threshold is not None and value >= threshold


def class_bars(categories: Sequence[tuple[str, int]], liked: Sequence[str]) -> go.Figure:
    """Rows of each class or action, most first; those that count as liked are blue and have a check mark."""
    shown = list(categories)[:MOST_CLASSES][::-1]
    figure = charts.blank("rows", "", 90 + 24 * len(shown))
    names = [("✓ " if name in liked else "") + words.html(name, 24) for name, _ in shown]
    figure.add_bar(
        x=[n for _, n in shown],
        y=list(range(len(shown))),  # by place: names cut short may be alike
        orientation="h",
        marker={"color": [COLORS[0] if name in liked else GRAY for name, _ in shown]},
        customdata=[[words.html(name, 80)] for name, _ in shown],
        hovertemplate="%{customdata[0]}: %{x:,} rows<extra></extra>",
    )
    figure.update_yaxes(tickvals=list(range(len(shown))), ticktext=names, title=None, automargin=True)
    figure.update_xaxes(tickformat="~s")
    figure.update_layout(hovermode="closest", bargap=0.25)
    return figure


def timeline(rows: Sequence[tuple[int, str, int]], ordered_only: bool = False) -> go.Figure:
    """Rows over time, stacked by the split they fall in.

    Args:
        rows: (bin start in unix seconds, split, rows).
        ordered_only: the time is a counter, not a date.
    """
    figure = charts.blank("order" if ordered_only else "time", "rows", 240, legend=True)
    frame = pd.DataFrame(list(rows), columns=["bin", "split", "rows"])
    for split, (color, pattern) in SPLIT_LOOKS.items():
        part = frame[frame["split"] == split]
        if not part.empty:
            marker = {"color": color, "pattern": _hatch(pattern)}
            figure.add_bar(x=part["bin"] if ordered_only else moments(part["bin"]), y=part["rows"], name=split, marker=marker)
    figure.update_traces(hovertemplate="%{y:,}")
    figure.update_layout(barmode="stack", bargap=0.05)
    figure.update_yaxes(tickformat="~s")
    return figure


def moments(seconds: "pd.Series") -> "pd.Series":
    """Unix seconds as moments; values outside the supported years become NaT."""
    return pd.to_datetime(seconds, unit="s", errors="coerce")


def split_bar(splits: dict[str, SplitFacts]) -> go.Figure:
    """The rows of each split side by side, for data without time."""
    figure = charts.blank("rows", "", 120, legend=True)
    for split, (color, pattern) in SPLIT_LOOKS.items():
        if split in splits:
            marker = {"color": color, "pattern": _hatch(pattern)}
            figure.add_bar(x=[splits[split].rows], y=[""], orientation="h", name=split, marker=marker)
    figure.update_traces(hovertemplate="%{x:,}")
    figure.update_layout(barmode="stack", hovermode="closest", margin={"l": 8, "b": 44})
    figure.update_xaxes(tickformat="~s")
    figure.update_yaxes(showticklabels=False, title=None)
    return figure


def long_tail(points: Sequence[tuple[float, float]]) -> go.Figure:
    """The share of interactions that the most popular items have; the dotted line: all items equally popular."""
    figure = charts.blank("share of items, most popular first", "share of interactions", 240)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GRAY, "dash": "dot", "width": 1}, hoverinfo="skip")
    figure.add_scatter(
        x=[x for x, _ in points],
        y=[y for _, y in points],
        mode="lines",
        line={"color": COLORS[0], "width": 2},
        hovertemplate="%{y:.0%} of interactions<extra></extra>",
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def doublings(bins: Sequence[tuple[int, int]], who: str) -> go.Figure:
    """How many users or items have 1, 2–3, 4–7 … interactions.

    Args:
        bins: (n, how many have n to 2n - 1).
    """
    figure = charts.blank(f"interactions per {who}", f"{who}s", 240)
    figure.add_bar(
        x=list(range(len(bins))),
        y=[many for _, many in bins],
        marker={"color": COLORS[0]},
        customdata=[[between(n)] for n, _ in bins],
        hovertemplate=f"%{{y:,}} {who}s have %{{customdata[0]}}<extra></extra>",
    )
    every = 1 + len(bins) // 9  # avoid overlapping labels
    figure.update_xaxes(tickvals=list(range(0, len(bins), every)), ticktext=[between(n) for n, _ in bins][::every], tickangle=0)
    figure.update_yaxes(tickformat="~s")
    figure.update_layout(bargap=0.1, hovermode="closest")
    return figure


def between(n: int) -> str:
    """The range of a bin that doubles: 1, 2–3, 4–7, 1k–2k."""
    if n == 1:
        return "1"
    return f"{n}–{2 * n - 1}" if n < 512 else f"{_short(n)}–{_short(2 * n)}"


def _short(n: int) -> str:
    power = next((p for p in (3, 2, 1) if n >= 1024**p), 0)
    return f"{n // 1024**power}{('', 'k', 'M', 'G')[power]}"


def label_over_time(points: Sequence[tuple[int, int, float]], ordered_only: bool = False) -> go.Figure:
    """The share of rows that are liked, over time.

    Args:
        points: (bin start in unix seconds, rows, share).
    """
    figure = charts.blank("order" if ordered_only else "time", "liked", 240)
    frame = pd.DataFrame(list(points), columns=["bin", "rows", "share"])
    figure.add_scatter(
        x=frame["bin"] if ordered_only else moments(frame["bin"]),
        y=frame["share"],
        mode="lines+markers",
        line={"color": COLORS[0], "width": 2},
        marker={"size": 5},
        customdata=frame[["rows"]],
        hovertemplate="%{y:.0%} of %{customdata[0]:,} rows<extra></extra>",
    )
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure
