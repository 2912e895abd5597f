"""Parallel coordinates: one line for each of several trainings, over the settings in which they differ and what they reached."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

import engine
from engine.runs import Run
from ui.runs.leaves import leaves
from ui.shared import charts, picker, states, words

METRICS = ("ndcg_at_10", "auc", "log_loss", "rmse")  # the first that all have colours the lines
SECONDS = "Training time (s)"
APART = ("name", "dataset", "continues", "model.kind")  # settings that name a run, and the model, which has an axis of its own
MOST_AXES, USUAL_AXES = 10, 5  # of settings
LOG_FROM = 50  # numbers whose ratio exceeds this get a log axis
LABEL = 18  # characters of a tick
LOW, HIGH = "#0072B2", "#D55E00"  # the colour of the lowest and the highest value

Cell = str | float | None  # a setting or a metric of one run; None: it has none


class Axis(NamedTuple):
    """One axis: its title, where each run is on it, and its ticks."""

    title: str
    at: list[float]
    ticks: list[float]
    labels: list[str]


def section(ticked: Sequence[Run]) -> None:
    """The chart of the finished trainings among the runs that are ticked, and a choice of the settings; nothing for fewer than two."""
    done = [run for run in ticked if run.kind == "train" and states.is_in(run, "FINISHED")]
    if len(done) < 2:
        return
    st.subheader("What differs", anchor=False)
    settings, reached = differing(done), results(done)
    usual = [name for name, values in settings.items() if len({*values} - {None}) > 1]  # others tell only which model has them
    usual = sorted(usual, key=lambda name: settings[name].count(None))[:USUAL_AXES]
    chosen = st.multiselect("Settings", list(settings), usual, max_selections=MOST_AXES, key=f"parallel.{'.'.join(sorted(settings))[:200]}")
    names = picker.titles(done)
    axes: dict[str, list[Cell]] = {"Run": [words.plain(names[run.run_id], 60) for run in done]} if len(done) <= 12 else {}
    axes |= {name: settings[name] for name in chosen} | reached
    by = next((name for name, values in reached.items() if None not in values), None)
    if by:
        st.caption(f"A line is a run; its colour goes from blue, the lowest {by}, to orange. Drag along an axis to pick out a range.")
    title = f"{len(done)} runs over {', '.join(axes)}"
    charts.show(figure([axis(name, values) for name, values in axes.items()], reached.get(by or "")), title, key="runs.parallel")


def differing(runs: Sequence[Run]) -> dict[str, list[Cell]]:
    """Settings whose values are not the same for all runs that have them, or that only some have: title -> the value of each run."""
    each = [leaves(run.settings) for run in runs]
    models = [engine.specs.MODELS.get(run.model or "") for run in runs]
    found: dict[str, list[Cell]] = {}
    if len({run.model for run in runs}) > 1:
        found["Model"] = [model.label if model else words.plain(run.model, 40) for run, model in zip(runs, models, strict=True)]
    for name in dict.fromkeys(name for one in each for name in one):
        values = [cell(one.get(name)) for one in each]
        if name not in APART and len(set(values)) > 1:
            title = words.field_label(name.rpartition(".")[2])
            found[title if title not in found else f"{title} ({name.split('.')[0]})"] = values
    return found


def results(runs: Sequence[Run]) -> dict[str, list[Cell]]:
    """What the runs reached: title -> the value of each run, of metrics that some have; last the seconds of training."""
    found: dict[str, list[Cell]] = {engine.specs.METRICS[key].label: [run.metrics.get(key) for run in runs] for key in METRICS}
    found[SECONDS] = [run.resources.get("training_s") for run in runs]
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def cell(value: object) -> Cell:
    """A value for an axis: a finite number, a text, or None for none."""
    if isinstance(value, bool | str):
        return None if value == words.DASH else str(value)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def axis(title: str, values: Sequence[Cell]) -> Axis:
    """An axis of numbers, logarithmic where they are far apart, or of texts in their order; runs without a value are at its lower end."""
    numbers = [value for value in values if isinstance(value, float)]
    if len(numbers) < sum(value is not None for value in values):
        return _of_texts(title, values)
    low, high = min(numbers), max(numbers)
    wide = low > 0 and high / low >= LOG_FROM
    span = math.log10(high / low) if wide else high - low

    def place(value: float) -> float:
        return math.log10(value) if wide else value

    below = place(low) - 0.15 * (span or 1.0)
    shown = sorted(set(numbers))
    if any(place(b) - place(a) < 0.07 * span for a, b in pairwise(shown)):  # their labels would cover each other
        shown = [_between(low, high, part / 4, wide) for part in range(5)]
    missing = len(numbers) < len(values)
    ticks, labels = [place(value) for value in shown], [_label(value) for value in shown]
    at = [place(value) if isinstance(value, float) else below for value in values]
    return Axis(title, at, [below, *ticks] if missing else ticks, [words.DASH, *labels] if missing else labels)


def _of_texts(title: str, values: Sequence[Cell]) -> Axis:
    texts = [words.DASH if value is None else _label(value) if isinstance(value, float) else value for value in values]
    order = sorted(set(texts), key=lambda text: (text != words.DASH, text))
    labels = [words.html(text, LABEL) for text in order]
    return Axis(title, [float(order.index(text)) for text in texts], [float(at) for at in range(len(order))], labels)


def _between(low: float, high: float, part: float, wide: bool) -> float:
    return float(low * (high / low) ** part if wide else low + part * (high - low))


def _label(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}"


def figure(axes: Sequence[Axis], color: Sequence[Cell] | None) -> go.Figure:
    """The chart. color: the value of each run that its line is coloured by; None for a single colour."""
    line: dict[str, Any] = {"color": LOW}
    if color and None not in color:
        line = {"color": list(color), "colorscale": [[0, LOW], [1, HIGH]], "showscale": False}
    dimensions = [
        {"label": one.title, "values": one.at, "tickvals": one.ticks, "ticktext": one.labels, "range": _range(one)} for one in axes
    ]
    drawn = go.Figure(go.Parcoords(dimensions=dimensions, line=line, labelangle=-18, labelside="top"))
    margin = {"l": 120, "r": 60, "t": 84, "b": 24}
    return drawn.update_layout(height=400, margin=margin, paper_bgcolor="rgba(0,0,0,0)", font={"size": 12})


def _range(one: Axis) -> list[float]:
    low, high = min([*one.at, *one.ticks]), max([*one.at, *one.ticks])
    return [low, high] if high > low else [low - 1, high + 1]
