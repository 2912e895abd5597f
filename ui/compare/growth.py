"""Would more data help? Metrics of contenders over shares of the users, with their laws, and a button that trains what is missing."""

import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import Comparison, Contender
from engine.compare.growth import Growth, LearningCurve
from engine.specs import MODELS
from ui.compare import verdict
from ui.runs import launch
from ui.shared import address, charts, computes, contents, words

BAND = 0.13  # opacity of a law's interval
APART = 1.015  # factor between contenders' points of one size
CLOSE = 1.3  # factor from which two ticks have room
MOST_BANDS = 3  # contenders up to which intervals are drawn: more would hide each other
INTRO = "Trains the same on fewer users and measures for the same test users: whether more data would help, and whom most."


@st.fragment  # a choice here draws this part of the page alone
def section(comparison: Comparison) -> None:
    """The curves of a metric over rows, what their laws say, and a button for what is missing; bound to ?growth=.

    Nothing where no contender is a training of one model.
    """
    trained = [one for one in comparison.contenders if is_training(one)]
    if not trained:
        return
    contents.header("Would more data help?")
    siblings = _siblings(comparison)
    if not any(len(shares) > 1 for shares in siblings.values()):
        st.caption(INTRO)
        _offer(comparison, trained)
        return
    metrics = {key: engine.specs.metric(key).label for key in engine.compare.growth.growth_metrics(comparison)}
    with st.columns([2, 3])[0]:
        metric = address.select("Metric over the rows of train", "compare.growth", "growth", metrics)
    found = curves(_flat(siblings), metric, comparison)
    said = [verdict.markdown(sentence) for sentence in engine.compare.growth.growth_sentences(comparison, found)]
    st.markdown("\n\n".join(said))
    label, drawn = engine.specs.metric(metric).label, sum(len(one.points) > 1 for one in found.curves)
    alt = f"{label} of {drawn} contenders over the rows that they learned from. {' '.join(said)}"
    charts.show(figure(comparison, found, label), alt, key="compare.growth.chart")
    st.caption(engine.compare.growth.LAW_NOTE if any(one.law for one in found.curves) else engine.compare.growth.POINTS_NOTE)
    _offer(comparison, trained)


def measured(comparison: Comparison, letter: str, metric: str) -> str:
    """What more data gives a contender, in a few words; empty where it was not trained on shares of the users, or has no such metric."""
    one = next(one for one in comparison.contenders if one.letter == letter)
    if not is_training(one) or metric not in engine.compare.growth.growth_metrics(comparison):
        return ""
    siblings = _siblings(comparison)
    if len(siblings[letter]) < 2:
        return ""
    found = curves(_flat(siblings), metric, comparison)
    curve = next(curve for curve in found.curves if curve.letter == letter)
    return engine.compare.growth.measured_growth(curve, metric)


def _siblings(comparison: Comparison) -> dict[str, dict[float, list[str]]]:
    """Letter -> share -> the runs on it."""
    every = {one.letter: engine.compare.growth.siblings(one.run_id or "") for one in comparison.contenders if is_training(one)}
    return {letter: {share: [run.run_id for run in group] for share, group in own.items()} for letter, own in every.items()}


def _flat(siblings: dict[str, dict[float, list[str]]]) -> tuple[str, ...]:
    return tuple(run_id for own in siblings.values() for group in own.values() for run_id in group)


def is_training(one: Contender) -> bool:
    """Whether a contender is a training of one model, and no baseline or funnel."""
    return one.run_id is not None and one.model in MODELS and one.model != "funnel"


@st.cache_resource(max_entries=8, show_spinner="Resampling users for the learning curves …")
def curves(run_ids: tuple[str, ...], metric: str, _comparison: Comparison) -> Growth:
    """The curves of runs, which no longer change. run_ids: of all shares; the comparison is the one of those on the page."""
    return engine.compare.growth.learning_curves(_comparison, metric)


def _offer(comparison: Comparison, trained: list[Contender]) -> None:
    """One button that launches the runs that are missing, with the time that they may take."""
    specs = {spec.model_dump_json(): spec for one in trained for spec in engine.compare.growth.missing_runs(one.run_id or "")}
    if not specs:
        return
    missing = list(specs.values())
    shares = sorted({spec.train.user_share for spec in missing})
    who = ", ".join(one.letter for one in trained)
    runs = f"{words.count(len(missing))} run{'' if len(missing) == 1 else 's'}"
    st.caption(f"{runs} of {who} {'is' if len(missing) == 1 else 'are'} missing. {_time(comparison, missing)}")
    label = f"Train on {engine.compare.growth.shares_text(shares)} of the users"
    with computes.choose("compare.growth.compute", "growth_compute"):
        launched = launch.button(missing, True, "compare.growth.train", label)
    if launched:
        st.page_link("runs/page.py", label="Watch them", icon=":material/list:")


def _time(comparison: Comparison, missing: list[engine.specs.RunSpec]) -> str:
    try:
        taken = engine.preflight.time_of(missing, engine.datasets.get_dataset(comparison.dataset))
    except (LookupError, ValueError):
        return "Their dataset is gone."
    return f"One after another they take {taken}, by what was measured here." if taken else "How long they take was not measured here yet."


def figure(comparison: Comparison, found: Growth, label: str) -> go.Figure:
    """Points with intervals for each share, and the law through them: dashed where nothing was measured."""
    short, places = engine.compare.names(comparison.contenders), {c.letter: c.color_index for c in comparison.contenders}
    shown = [one for one in found.curves if one.points]
    drawn = charts.blank("rows of train that are learned from", label, charts.room(len(shown)), legend=True)
    for place, one in enumerate(shown):
        aside = APART ** (place - (len(shown) - 1) / 2)  # so that intervals do not cover each other
        look = compare.look(places[one.letter])
        name = words.html(f"{one.letter} {short[one.letter]}", 40)
        if one.law:
            _law(drawn, one, look.color, banded=sum(bool(other.law) for other in shown) <= MOST_BANDS)
        drawn.add_scatter(
            x=[point.rows * aside for point in one.points], y=[point.value for point in one.points], name=name, legendgroup=one.letter,
            mode="markers" if one.law else "lines+markers", line={"color": look.color, "dash": "dot", "width": 1},
            marker={"symbol": look.marker, "size": 9, "color": look.color},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                "array": [point.high - point.value for point in one.points],
                "arrayminus": [point.value - point.low for point in one.points],
            },
            customdata=[f"{100 * point.share:.3g} % of users, {point.rows:,} rows" for point in one.points],
            hovertemplate="%{y:.4g} (%{customdata})",
        )  # fmt: skip
    ticks = _ticks(shown)
    drawn.update_xaxes(type="log", tickvals=ticks, ticktext=[engine.compare.rough(tick) for tick in ticks])
    drawn.update_layout(hovermode="closest")
    return drawn


def _ticks(curves: list[LearningCurve]) -> list[float]:
    """The sizes that were measured, and where laws are drawn three more beyond them."""
    rows = sorted({point.rows for one in curves for point in one.points})
    apart = [tick for at, tick in enumerate(rows) if not at or tick > CLOSE * rows[at - 1]]
    return [*map(float, apart), *(factor * rows[-1] for factor in (2, 5, 10) if any(one.law for one in curves))]


def _law(drawn: go.Figure, one: LearningCurve, color: str, banded: bool) -> None:
    """The line of a law with its interval, in two parts."""
    last = one.points[-1].rows
    measured = [place for place, rows in enumerate(one.rows) if rows <= last]
    parts = (measured, "solid"), (list(range(max(0, len(measured) - 1), len(one.rows))), "dash")
    common = {"legendgroup": one.letter, "showlegend": False, "hoverinfo": "skip"}
    if banded:
        around = [*one.rows, *one.rows[::-1]], [*(law.high for law in one.law), *(law.low for law in one.law[::-1])]
        drawn.add_scatter(
            x=around[0], y=around[1], fill="toself", fillcolor=color, opacity=BAND, mode="lines", line={"width": 0}, **common
        )  # fmt: skip
    for part, dash in parts:
        drawn.add_scatter(
            x=[one.rows[place] for place in part], y=[one.law[place].value for place in part], mode="lines",
            line={"color": color, "width": 2, "dash": dash}, **common,
        )  # fmt: skip
