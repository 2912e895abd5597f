"""Figures of the report as SVG that needs no script and no network: ink takes the page's colour, so that they suit light and dark."""

import io
import math
import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.compare import Comparison, Contender, look, number, pareto_front, reliability_of
from workers.artifacts import METRICS, metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

INK, SIZE = "#010203", (6.4, 3.6)  # a colour that nothing else has: it becomes currentColor
GRAY, FRONT = "#8a929c", "step"
MARKERS = {
    "circle": "o", "triangle-up": "^", "square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-down": "v", "circle-open": "o",
    "square-open": "s", "diamond-open": "D", "triangle-up-open": "^", "triangle-down-open": "v",
}  # fmt: skip
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 3, 2, 3)),
}
DRAWING = threading.Lock()  # matplotlib's settings are those of the whole process, and pages draw at once
TOO_FAR = 20  # costs that differ by more than this many times are on a log axis


class Figure(NamedTuple):
    caption: str
    svg: str


def figures(comparison: Comparison) -> list[Figure]:
    """Validation curves, and quality against training time with the Pareto front: of those that have them."""
    drawn = [_curves(comparison), _tradeoff(comparison)]
    return [figure for figure in drawn if figure]


def reliability(comparison: Comparison) -> Figure | None:
    """Predicted probability against the observed share of likes, of contenders that predict one; None where none does."""
    drawn = [(one, bins) for one in _runs(comparison) if (bins := reliability_of(one))]
    if not drawn:
        return None
    sheet, axes = _axes("predicted probability", "observed share of likes")
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle=":", linewidth=1.2)
    most = max(bin["rows"] for _, bins in drawn for bin in bins)
    for one, bins in drawn:
        x, y = [bin["predicted"] for bin in bins], [bin["observed"] for bin in bins]
        style = _style(one.color_index)
        axes.plot(x, y, label=one.letter, **style, markersize=4, linewidth=1.5)
        sizes = [(4 + 8 * math.sqrt(bin["rows"] / most)) ** 2 for bin in bins]
        axes.scatter(x, y, s=sizes, color=style["color"], alpha=0.35, linewidths=0)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    errors = comparison.table[comparison.table["metric"] == "ece"].set_index("contender")["value"]
    said = ", ".join(f"{one.letter} {number(errors.get(one.letter))}" for one, _ in drawn)
    others = [one.letter for one in _runs(comparison) if one.letter not in {c.letter for c, _ in drawn}]
    without = f" {', '.join(others)}: no curve, as these scores are not probabilities." if others else ""
    return Figure(f"Predicted against observed; ECE: {said}.{without}", _svg(sheet, axes))


def _runs(comparison: Comparison) -> list[Contender]:
    return [c for c in comparison.contenders if c.run_id is not None]


def _curves(comparison: Comparison) -> Figure | None:
    from matplotlib.ticker import MaxNLocator

    frame = comparison.curves
    key = next((key for key in METRICS if len(frame) and (frame["metric"] == f"valid_{key}").any()), None)
    if key is None:
        return None
    sheet, axes = _axes("epoch", f"{METRICS[key].label} (validation)")
    for one in _runs(comparison):
        line = frame[(frame["metric"] == f"valid_{key}") & (frame["contender"] == one.letter)].dropna(subset=["epoch", "value"])
        if len(line):
            axes.plot(line["epoch"], line["value"], label=one.letter, **_style(one.color_index), markersize=4, linewidth=1.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    return Figure(f"{METRICS[key].label} on validation over epochs.", _svg(sheet, axes))


def _tradeoff(comparison: Comparison) -> Figure | None:
    runs, costs, table = _runs(comparison), comparison.costs, comparison.table
    if not len(costs):
        return None
    fact = costs.iloc[0]
    key, values = next(((key, found) for key in dict.fromkeys(table["metric"]) if (found := _both(table, fact, key))), ("", {}))
    if not values:
        return None
    shown, both = metric(key), [c for c in runs if c.letter in values]
    x, y = [float(fact[c.letter]) for c in both], [values[c.letter] for c in both]
    sheet, axes = _axes(f"{fact['fact']} ({fact['unit']})" if fact["unit"] else fact["fact"], shown.label)
    front = pareto_front(x, y, shown.better)
    stair = sorted((a, b) for a, b, on in zip(x, y, front, strict=True) if on)
    axes.step(*zip(*stair, strict=True), where="post", color=GRAY, linewidth=1)
    for one, a, b in zip(both, x, y, strict=True):
        style = _style(one.color_index) | {"linestyle": "none"}
        axes.plot([a], [b], label=one.letter, **style, markersize=7)
        axes.annotate(one.letter, (a, b), xytext=(7, 5), textcoords="offset points", color=INK)
    if min(x) > 0 and max(x) > TOO_FAR * min(x):
        axes.set_xscale("log")
    on = ", ".join(c.letter for c, there in zip(both, front, strict=True) if there)
    return Figure(f"{shown.label} against {str(fact['fact']).lower()}; the Pareto front is {on}.", _svg(sheet, axes))


def _both(table: "pd.DataFrame", fact: "pd.Series", key: str) -> dict[str, float]:
    """Letter -> value of a metric, of those that have the cost too."""
    rows = table[(table["metric"] == key) & table["value"].notna()]
    return {
        one: float(value) for one, value in zip(rows["contender"], rows["value"], strict=True) if one in fact and fact[one] == fact[one]
    }


def _axes(x: str, y: str) -> "tuple[Sheet, Axes]":
    from matplotlib.figure import Figure as Sheet  # not pyplot, which keeps every figure it ever made

    sheet = Sheet(figsize=SIZE, layout="tight")
    axes = sheet.add_subplot()
    axes.set_xlabel(x, color=INK, parse_math=False)
    axes.set_ylabel(y, color=INK, parse_math=False)
    axes.grid(color=GRAY, alpha=0.25)
    axes.tick_params(colors=INK)
    axes.patch.set_alpha(0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRAY)
    return sheet, axes


def _style(place: int) -> dict[str, Any]:
    drawn = look(place)
    hollow = {"markerfacecolor": "none"} if drawn.marker.endswith("open") else {}
    dashes = DASHES.get(drawn.dash) or (0, tuple(float(part.removesuffix("px")) / 1.5 for part in drawn.dash.split(",")))
    return {"color": drawn.color, "linestyle": dashes, "marker": MARKERS[drawn.marker], **hollow}


def _svg(sheet: "Sheet", axes: "Axes") -> str:
    """The figure as one <svg> element, its text as text."""
    import matplotlib

    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    file = io.StringIO()
    with DRAWING, matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "recbench"}):
        sheet.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()[file.getvalue().index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    return re.sub(r'width="[^"]*pt" height="[^"]*pt"|height="[^"]*pt" width="[^"]*pt"', 'role="img"', drawn, count=1).replace(
        INK, "currentColor"
    )
