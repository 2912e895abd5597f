"""Figures of what a model predicts: the tables of `workers.evaluation.outputs` in, a plotly figure out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from engine.compare import COLORS, GRAY
from ui.shared import charts, words

MOST_CLASSES = 24  # with more, the rarest are combined into one
WRITTEN = 12  # classes up to which a share is written into its cell
STRONG = 0.75  # from this share on, white text is the most legible on the cell, in light and in dark
_BLUES = [[0.0, "rgba(0,114,178,0.04)"], [1.0, "rgba(0,114,178,1)"]]  # of COLORS[0], transparent: it suits any background


def _diagonal(figure: go.Figure, low: float, high: float) -> None:
    """The line where prediction equals truth."""
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line={"color": GRAY, "dash": "dot", "width": 1.5}, hoverinfo="skip", name="right"
    )


def reliability(bins: Sequence[dict[str, float]]) -> go.Figure:
    """Predicted probability against the observed share, one point per bin with an area by its rows; dotted: perfect calibration.

    Args:
        bins: predicted, observed (both shares) and rows of each bin that has rows.
    """
    figure = charts.blank("predicted probability", "share that is liked", 320)
    _diagonal(figure, 0, 1)
    rows = np.array([bin["rows"] for bin in bins], float)
    figure.add_scatter(
        x=[bin["predicted"] for bin in bins],
        y=[bin["observed"] for bin in bins],
        mode="lines+markers",
        line={"color": COLORS[0], "width": 1},
        marker={"size": (6 + 20 * np.sqrt(rows / max(rows.max(initial=1), 1))).tolist(), "color": COLORS[0], "opacity": 0.8},
        customdata=rows[:, None],
        hovertemplate="predicted %{x:.0%}, liked %{y:.0%}<br>%{customdata[0]:,} rows<extra></extra>",
    )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(tickformat=".0%", range=[-0.03, 1.03])
    figure.update_yaxes(tickformat=".0%", range=[-0.03, 1.03])
    return figure


def by_value(groups: Sequence[dict[str, float]]) -> go.Figure:
    """The mean prediction for each true value, or bin of values, with its standard deviation; the dotted line is a perfect prediction.

    Args:
        groups: target, predicted, deviation and rows of each.
    """
    figure = charts.blank("true value", "predicted: mean ± deviation", 320)
    target, predicted, deviation = (np.array([group[name] for group in groups], float) for name in ("target", "predicted", "deviation"))
    if len(groups):
        _diagonal(figure, float(target.min()), float(target.max()))
    figure.add_scatter(
        x=target,
        y=predicted,
        error_y={"type": "data", "array": deviation, "thickness": 1.2, "width": 5, "color": COLORS[0]},
        mode="lines+markers",
        line={"color": COLORS[0], "width": 1},
        marker={"size": 9, "color": COLORS[0]},
        customdata=[[group["deviation"], group["rows"]] for group in groups],
        hovertemplate="true %{x:.3g}: predicted %{y:.3g} ± %{customdata[0]:.2g}<br>%{customdata[1]:,} rows<extra></extra>",
    )
    figure.update_layout(hovermode="closest")
    if 1 < len(groups) <= 12 and np.diff(target).min() * 20 >= np.ptp(target):  # there are no values in between
        figure.update_xaxes(tickvals=target.tolist(), ticktext=[f"{value:.3g}" for value in target])
    return figure


def confusion(classes: Sequence[str], counts: Sequence[Sequence[int]], ink: str | None = None) -> go.Figure:
    """A confusion matrix: one row per true class, shares of that row as shades, row counts in the hover.

    Args:
        classes: names, in order; those beyond MOST_CLASSES, the rarest true ones, are combined.
        counts: [C, C] rows of each true class (first) that each class was predicted for.
        ink: colour of the shares written on pale cells; None leaves it to the theme.
    """
    names, table = _lumped(list(classes), np.array(counts, int).reshape(len(classes), len(classes)))
    totals = table.sum(1, keepdims=True)
    shares = np.divide(table, totals, out=np.zeros(table.shape), where=totals > 0)
    shown, places = [words.html(name, 16) for name in names], list(range(len(names)))
    figure = charts.blank("predicted class", "true class", 110 + max(34 if len(names) <= WRITTEN else 20, 12) * max(len(names), 4))
    figure.add_heatmap(
        z=shares,
        x=places,
        y=places,
        zmin=0,
        zmax=1,
        colorscale=_BLUES,
        xgap=2,
        ygap=2,
        showscale=len(names) > WRITTEN,
        colorbar={"tickformat": ".0%", "thickness": 12, "outlinewidth": 0},
        customdata=_hover(names, table),
        hovertemplate="%{customdata[0]} taken for %{customdata[1]}<br>%{customdata[2]:,} rows, %{z:.1%} of the class<extra></extra>",
    )
    if len(names) <= WRITTEN:
        _write(figure, shares, totals[:, 0], {"color": ink} if ink else {})
    figure.update_layout(hovermode="closest", margin={"l": 90})
    figure.update_xaxes(tickvals=places, ticktext=shown, showgrid=False, tickangle=0 if max(map(len, names)) < 5 else -35, automargin=True)
    figure.update_yaxes(tickvals=places, ticktext=shown, showgrid=False, autorange="reversed", automargin=True)
    return figure


def _hover(names: list[str], table: np.ndarray) -> list[list[list[Any]]]:
    """Hover data of each cell: both names and the rows."""
    escaped = [words.html(name, 60) for name in names]
    return [[[escaped[i], escaped[j], int(table[i, j])] for j in range(len(names))] for i in range(len(names))]


def _write(figure: go.Figure, shares: np.ndarray, totals: np.ndarray, pale: dict[str, str]) -> None:
    """Write shares into the cells of classes that have rows. Plotly's own text assumes a white background."""
    for (i, j), share in np.ndenumerate(shares):
        if totals[i]:
            font = {"color": "#ffffff"} if share >= STRONG else pale
            figure.add_annotation(x=j, y=i, text=words.percent(float(share)), showarrow=False, font={**font, "size": 13})


def _lumped(names: list[str], table: np.ndarray) -> tuple[list[str], np.ndarray]:
    """At most MOST_CLASSES classes: the rarest true ones are combined into the last."""
    if len(names) <= MOST_CLASSES:
        return names, table
    frequent = np.sort(np.argsort(-table.sum(1), kind="stable")[: MOST_CLASSES - 1])
    group = np.full(len(names), len(frequent))
    group[frequent] = np.arange(len(frequent))
    small = np.zeros((len(frequent) + 1,) * 2, int)
    np.add.at(small, (group[:, None], group[None, :]), table)
    return [*(names[k] for k in frequent), f"{len(names) - len(frequent)} others"], small
