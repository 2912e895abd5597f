"""Learning curves on the Compare page: which metric, over what, how smooth, on which axes; the address keeps all of it."""

from typing import NamedTuple

import pandas as pd
import streamlit as st

import engine
from engine import compare
from engine.compare import Comparison
from ui.compare import view
from ui.shared import address, charts, contents

OVER = {"epoch": "Epochs", "step": "Steps", "time_s": "Seconds", "rows": "Rows seen"}
LOSS = "train_loss"
SMOOTH = 0.8  # of a loss, which is logged every few steps and is noisy; validation comes once per epoch and is not smoothed


class Drawing(NamedTuple):
    """How the lines are drawn."""

    over: str
    smooth: float
    log_x: bool
    log_y: bool


@st.fragment  # a choice here draws this part of the page alone
def section(comparison: Comparison) -> None:
    """Validation metrics or the training loss of all runs; bound to ?metric=, ?over=, ?smooth= and ?log=."""
    frame = comparison.curves
    contents.header("Learning curves")
    present = set(frame["metric"]) if len(frame) else set()
    options = {key: f"{metric.label} (validation)" for key, metric in engine.specs.METRICS.items() if f"valid_{key}" in present}
    options |= {LOSS: "Training loss"} if LOSS in present else {}
    if not options:
        st.caption("These runs recorded no curves.")
        return
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        metric = address.select("Metric", "compare.metric", "metric", options)
    view.note(curve=metric)
    rows = engine.report.over_epochs(frame[frame["metric"] == (metric if metric == LOSS else f"valid_{metric}")])
    with right:
        over = address.select("Over", "compare.over", "over", {x: name for x, name in OVER.items() if rows[x].notna().any()})
    drawing = _drawing(over, metric == LOSS)
    runs = [c for c in comparison.contenders if c.run_id is not None]
    short = engine.compare.names(comparison.contenders)
    shown = {c.letter: (f"{c.letter} {short[c.letter]}", compare.look(c.color_index)) for c in runs if c.letter in set(rows["contender"])}
    label = "training loss" if metric == LOSS else engine.specs.METRICS[metric].label
    figure = charts.curves(rows, shown, over, label, charts.room(len(shown)), drawing.smooth, drawing.log_x, drawing.log_y)
    charts.show(figure, f"{options[metric]} of {len(shown)} runs over {OVER[over].lower()}", key="compare.curves")
    _remarks(rows, drawing, [c.letter for c in runs if c.letter not in shown], metric == LOSS)


def _drawing(over: str, loss: bool) -> Drawing:
    """Smoothing and the scales of both axes."""
    usual, logs = SMOOTH if loss else 0.0, address.values("log")
    key = f"compare.smooth.{loss}"  # a loss and a validation metric start from another smoothing
    address.seed(key, "smooth", _share(address.value("smooth"), usual))
    for axis in "xy":
        address.seed(f"compare.log.{axis}", "log", axis in logs)
    meaning = "Exponential moving average: the weight of earlier values. The unsmoothed values stay visible behind it."
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        smooth = float(st.slider("Smoothing", 0.0, 0.99, step=0.01, key=key, help=meaning, width=220))
        log_x, log_y = (st.toggle(f"Log {axis}", key=f"compare.log.{axis}") for axis in "xy")
    address.remember(key, "smooth", None if smooth == usual else f"{smooth:g}")
    address.remember("compare.log.x", "log", [axis for axis, on in (("x", log_x), ("y", log_y)) if on])
    st.session_state["address.compare.log.y"] = st.session_state["address.compare.log.x"]
    return Drawing(over, smooth, log_x, log_y)


def _share(text: str | None, usual: float) -> float:
    """A smoothing out of the address, within the slider's bounds; the usual one where it is none."""
    try:
        share = float(text or "")
    except ValueError:
        return usual
    return round(share, 2) if 0 <= share <= 0.99 else usual


def _remarks(rows: pd.DataFrame, drawing: Drawing, without: list[str], loss: bool) -> None:
    """What is not drawn, and how the curves must not be read."""
    notes = [f"No such curve for {', '.join(without)}: fitted in one step, or not recorded."] if without else []
    hidden = [name for name, on in ((drawing.over, drawing.log_x), ("value", drawing.log_y)) if on and (rows[name] <= 0).any()]
    if hidden:
        notes.append("A log axis cannot show zero or negative values: these points are left out.")
    if loss:
        notes.append("Losses of different objectives have different units; compare losses of the same objective only.")
    if notes:
        st.caption(" ".join(notes))
