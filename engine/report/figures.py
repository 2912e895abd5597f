"""Figures of a comparison, drawn with matplotlib: SVG for the page of the report, PNG for a notebook."""

import io
import math
import re
import textwrap
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.compare import Comparison, Contender, look, names, number, pairs, pareto_front, reliability_of, testable, verdict_of
from workers.artifacts import METRICS, metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

INK, SIZE = "#010203", (6.4, 3.6)  # a colour that nothing else has: it becomes currentColor
GRAY, FRONT = "#8a929c", "step"
MARKERS = {
    "circle": "o", "triangle-up": "^", "square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-down": "v", "circle-open": "o",
    "square-open": "s", "diamond-open": "D", "triangle-up-open": "^", "triangle-down-open": "v", "line-ew-open": "|",
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
LOSS = "train_loss"  # the curve that is no metric
DPI = 100
ROW, MARGIN = 0.34, 0.9  # inches: of a contender or a pair in a figure of rows, and of the axis below them


@dataclass(frozen=True)
class Figure:
    """A drawn figure and what it shows. A notebook displays it as an image under its caption; `sheet` is matplotlib's own figure."""

    caption: str
    sheet: "Sheet"

    @property
    def svg(self) -> str:
        """One <svg> element, its text as text, without script or network; ink takes the page's colour, so that it suits light and dark."""
        drawn = _file(self.sheet, {"format": "svg", "transparent": True, "metadata": {"Date": None, "Creator": None}}).decode()
        drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
        return re.sub(r'width="[^"]*pt" height="[^"]*pt"|height="[^"]*pt" width="[^"]*pt"', 'role="img"', drawn, count=1).replace(
            INK, "currentColor"
        )

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The image at twice the size at which a notebook shows it."""
        self.sheet.suptitle(textwrap.fill(self.caption, 90), fontsize=9, color=INK, parse_math=False)
        width = round(DPI * self.sheet.get_size_inches()[0])
        return _file(self.sheet, {"format": "png", "dpi": 2 * DPI, "facecolor": "white"}), {"width": width}


def figures(comparison: Comparison) -> list[Figure]:
    """Validation curves, and quality against training time with the Pareto front: of those that have them."""
    drawn = [learning_curves(comparison), quality_and_cost(comparison)]
    return [figure for figure in drawn if figure]


def metric_intervals(comparison: Comparison, key: str | None = None) -> Figure | None:
    """A metric of each contender on test with its 95 % interval; None where nobody has it.

    Args:
        key: of METRICS; None: what the verdict is about, else the first that was measured.
    """
    table = comparison.table[comparison.table["value"].notna()]
    measured, judged = list(dict.fromkeys(table["metric"])), [stage.metric for stage in verdict_of(comparison).stages]
    key = key or next((one for one in (*judged, *measured) if one in measured), None)
    cells = table[table["metric"] == key].set_index("contender")
    shown = [one for one in comparison.contenders if one.letter in cells.index]
    if key is None or not shown:
        return None
    short = names(comparison.contenders)
    sheet, axes = _rows([f"{one.letter} {short[one.letter]}" if one.run_id else one.name for one in shown], metric(key).label)
    for place, one in enumerate(shown):
        cell, style = cells.loc[one.letter], _style(one) | {"linestyle": "none"}
        if math.isfinite(cell["low"]) and math.isfinite(cell["high"]):
            axes.hlines(place, cell["low"], cell["high"], color=style["color"], linewidth=2)
        axes.plot([cell["value"]], [place], **style, markersize=7)
    return Figure(f"{metric(key).label} on test; lines are 95 % intervals.", sheet)


def pair_differences(comparison: Comparison, key: str | None = None) -> Figure | None:
    """The difference of every two contenders by a metric with its 95 % interval; None where no two were tested by it.

    Args:
        key: of METRICS; None: the first that pairs were tested by.
    """
    key = key or next(iter(testable(comparison)), None)
    tested = [(pair, pair.difference) for pair in (pairs(comparison, key) if key else []) if pair.difference is not None]
    if key is None or not tested:
        return None
    sheet, axes = _rows([f"{pair.a} − {pair.b}" for pair, _ in tested], f"difference of {metric(key).label}")
    axes.axvline(0, color=GRAY, linestyle=":", linewidth=1.2)
    for place, (pair, difference) in enumerate(tested):
        color = INK if pair.ahead or pair.behind else GRAY
        if pair.low is not None and pair.high is not None:
            axes.hlines(place, pair.low, pair.high, color=color, linewidth=2)
        axes.plot([difference], [place], color=color, marker="o", linestyle="none", markersize=6)
    return Figure(f"Differences of {metric(key).label} with 95 % intervals; gray: the two cannot be told apart, or are the same.", sheet)


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
        style = _style(one)
        axes.plot(x, y, label=one.letter, **style, markersize=4, linewidth=1.5)
        sizes = [(4 + 8 * math.sqrt(bin["rows"] / most)) ** 2 for bin in bins]
        axes.scatter(x, y, s=sizes, color=style["color"], alpha=0.35, linewidths=0)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    errors = comparison.table[comparison.table["metric"] == "ece"].set_index("contender")["value"]
    said = ", ".join(f"{one.letter} {number(errors.get(one.letter))}" for one, _ in drawn)
    others = [one.letter for one in _runs(comparison) if one.letter not in {c.letter for c, _ in drawn}]
    without = f" {', '.join(others)}: no curve, as these scores are not probabilities." if others else ""
    return Figure(f"Predicted against observed; ECE: {said}.{without}", _with_legend(sheet, axes))


def _runs(comparison: Comparison) -> list[Contender]:
    return [c for c in comparison.contenders if c.run_id is not None]


def learning_curves(comparison: Comparison, key: str | None = None) -> Figure | None:
    """A metric on validation over epochs; None where no run recorded it.

    Args:
        key: of METRICS, or train_loss; None: the first metric that was measured on validation.
    """
    from matplotlib.ticker import MaxNLocator

    frame = comparison.curves
    key = key or next((one for one in METRICS if len(frame) and (frame["metric"] == f"valid_{one}").any()), None)
    lines = over_epochs(frame[frame["metric"] == (LOSS if key == LOSS else f"valid_{key}")]) if len(frame) else frame
    if key is None or not len(lines):
        return None
    label = "Training loss" if key == LOSS else f"{METRICS[key].label} on validation"
    sheet, axes = _axes("epoch", "training loss" if key == LOSS else f"{METRICS[key].label} (validation)")
    marks = {"marker": ""} if key == LOSS else {"markersize": 4}  # a loss has a point every few steps
    for one in _runs(comparison):
        line = lines[lines["contender"] == one.letter].dropna(subset=["epoch", "value"])
        if len(line):
            axes.plot(line["epoch"], line["value"], label=one.letter, **(_style(one) | marks), linewidth=1.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    return Figure(f"{label} over epochs.", _with_legend(sheet, axes))


def over_epochs(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Rows of a curve whose epoch counts the part that is done of the one under way; all epochs of a run have the same number of steps."""
    last = rows.groupby("contender")[["step", "epoch"]].transform("max")
    return rows.assign(epoch=(rows["step"] * last["epoch"] / last["step"].where(last["step"] > 0)).fillna(rows["epoch"]))


def quality_and_cost(comparison: Comparison, key: str | None = None, cost: str | None = None) -> Figure | None:
    """A metric on test against a cost, with the Pareto front; None where no run has both.

    Args:
        key: of METRICS; None: the first that runs have with the cost. cost: a fact of `Comparison.costs`; None: the first.
    """
    runs, table = _runs(comparison), comparison.table
    costs = comparison.costs if cost is None or not len(comparison.costs) else comparison.costs[comparison.costs["fact"] == cost]
    if not len(costs):
        return None
    fact = costs.iloc[0]
    keys = [key] if key else list(dict.fromkeys(table["metric"]))
    key, values = next(((one, found) for one in keys if (found := _both(table, fact, one))), ("", {}))
    both = [c for c in runs if c.letter in values]
    if not both:
        return None
    shown, unit = metric(key), str(fact["unit"] or "")
    x, y = [float(fact[c.letter]) for c in both], [values[c.letter] for c in both]
    sheet, axes = _axes(f"{fact['fact']} ({unit})" if unit else str(fact["fact"]), shown.label)
    judged = [math.nan if one.letter in comparison.incomplete else value for one, value in zip(both, y, strict=True)]
    front = pareto_front(x, judged, shown.better, "higher" if unit.endswith("/s") else "lower")
    if stair := sorted((a, b) for a, b, on in zip(x, y, front, strict=True) if on):
        axes.step(*zip(*stair, strict=True), where="pre" if unit.endswith("/s") else "post", color=GRAY, linewidth=1)
    for one, a, b in zip(both, x, y, strict=True):
        style = _style(one) | {"linestyle": "none"}
        axes.plot([a], [b], label=one.letter, **style, markersize=7)
        axes.annotate(one.letter, (a, b), xytext=(7, 5), textcoords="offset points", color=INK)
    if min(x) > 0 and max(x) > TOO_FAR * min(x):
        axes.set_xscale("log")
    on = ", ".join(c.letter for c, there in zip(both, front, strict=True) if there) or "empty"
    caption = f"{shown.label} against {str(fact['fact']).lower()}; the Pareto front is {on}."
    return Figure(caption, _with_legend(sheet, axes))


def _both(table: "pd.DataFrame", fact: "pd.Series", key: str) -> dict[str, float]:
    """Letter -> value of a metric, of those that have the cost too."""
    rows = table[(table["metric"] == key) & table["value"].notna()]
    return {
        one: float(value) for one, value in zip(rows["contender"], rows["value"], strict=True) if one in fact and fact[one] == fact[one]
    }


def _rows(labels: list[str], x: str) -> "tuple[Sheet, Axes]":
    """Axes with a row for each label, the first on top."""
    sheet, axes = _axes(x, "", height=MARGIN + ROW * len(labels))
    axes.set_yticks(range(len(labels)), [textwrap.shorten(label, 48, placeholder=" …") for label in labels], parse_math=False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    return sheet, axes


def _axes(x: str, y: str, height: float = SIZE[1]) -> "tuple[Sheet, Axes]":
    from matplotlib.figure import Figure as Sheet  # not pyplot, which keeps every figure it ever made

    sheet = Sheet(figsize=(SIZE[0], height), layout="tight")
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


def _style(one: Contender) -> dict[str, Any]:
    drawn = look(one.color_index, baseline=one.run_id is None)
    hollow = {"markerfacecolor": "none"} if drawn.marker.endswith("open") else {}
    dashes = DASHES.get(drawn.dash) or (0, tuple(float(part.removesuffix("px")) / 1.5 for part in drawn.dash.split(",")))
    return {"color": drawn.color, "linestyle": dashes, "marker": MARKERS[drawn.marker], **hollow}


def _with_legend(sheet: "Sheet", axes: "Axes") -> "Sheet":
    """The sheet; with a legend where there are two lines or more."""
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return sheet


def _file(sheet: "Sheet", options: dict[str, Any]) -> bytes:
    import matplotlib

    file = io.BytesIO()
    with DRAWING, matplotlib.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "recbench"}):
        sheet.savefig(file, **options)
    return file.getvalue()
