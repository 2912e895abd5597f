"""Will it hold next month? The contenders over rolling windows in time, and a button that prepares and trains what is missing."""

import uuid

import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import Comparison
from engine.compare.backtest import Backtest, Windows
from ui.compare import verdict
from ui.compare.growth import is_training
from ui.shared import address, charts, computes, contents, words

CUTS = {str(cuts): f"{cuts} windows" for cuts in (engine.compare.backtest.CUTS, 2, 3, 5, 6)}
INTRO = (
    "Prepares the data as they were at several points in time, trains the same contenders with their chosen settings on each, and "
    "measures them on what came next."
)


@st.fragment  # a choice here draws this part of the page alone
def section(comparison: Comparison) -> None:
    """The windows that were measured, who wins how often, and a button for what is missing; bound to ?cuts= and ?window=.

    Nothing where no contender is a training of one model, or the data have no times.
    """
    trained = [one for one in comparison.contenders if is_training(one)]
    if not trained or engine.compare.backtest.why_not(comparison.dataset):
        return
    contents.header("Will it hold next month?")
    cuts = int(address.select("How far back", "compare.cuts", "cuts", CUTS, 180))
    plan = engine.compare.backtest.known_plan(comparison.dataset, cuts)
    if plan is None:
        st.caption(INTRO)
        if not st.button(f"Plan {cuts} windows", key="compare.backtest.plan", icon=":material/event_repeat:"):
            return
        try:
            with st.spinner("Reading the source to plan the windows …"):
                plan = engine.compare.backtest.make_plan(comparison.dataset, cuts)
        except (LookupError, ValueError, OSError) as error:
            st.info(words.md(error.args[0] if error.args else error, 400), icon=":material/block:")
            return
        st.rerun()
    letters = [one.letter for one in trained]
    try:
        found = engine.compare.backtest.progress_of(plan, [one.run_id or "" for one in trained], letters)
    except (LookupError, ValueError) as error:
        st.info(words.md(error.args[0], 400), icon=":material/block:")
        return
    _results(comparison, found)
    _offer(comparison, found)


def _results(comparison: Comparison, found: Backtest) -> None:
    """The picture and the sentences, once two windows of a contender were measured."""
    if (
        max(sum(one.letter == letter and one.state == "finished" for one in found.entries) for letter in {e.letter for e in found.entries})
        < 2
    ):
        return
    metrics = {key: engine.specs.metric(key).label for key in engine.compare.growth.growth_metrics(comparison)}
    with st.columns([2, 3])[0]:
        metric = address.select("Metric of each window", "compare.window", "window", metrics)
    windows = engine.compare.backtest.windows_of(found, metric, comparison.k, comparison.target)
    said = [verdict.markdown(sentence) for sentence in engine.compare.backtest.window_sentences(comparison, windows)]
    if said:
        st.markdown("\n\n".join(said))
    label = engine.specs.metric(metric).label
    alt = f"{label} of {len(windows.letters)} contenders in {len(windows.windows)} windows. {' '.join(said)}"
    charts.show(figure(comparison, windows, label), alt, key="compare.backtest.chart")
    _staleness(comparison, found, metric)
    st.caption(engine.compare.backtest.BACKTEST_NOTE)


def _staleness(comparison: Comparison, found: Backtest, metric: str) -> None:
    """What a day of age costs each contender, and a button that measures models of earlier cuts on later windows."""
    aged = engine.compare.backtest.staleness_of(found, metric)
    said = [verdict.markdown(engine.compare.backtest.staleness_sentence(comparison, one, metric)) for one in aged]
    if said:
        st.markdown("\n\n".join(said))
    left = engine.compare.backtest.unmeasured(found)
    text = "Ranks with the models of earlier cuts for the users of later windows, with their likes up to then: what does a day of age cost?"
    if left and st.button("Measure how models age", key="compare.backtest.age", icon=":material/hourglass_bottom:", help=text):
        try:
            with st.spinner(f"Measuring {len(left)} older models on later windows …"):
                for fresh, old in left:
                    engine.compare.backtest.measure(fresh, old)
        except (LookupError, ValueError, OSError) as error:
            st.error(words.md(error, 400), icon=":material/error:")
            return
        st.rerun()


def _offer(comparison: Comparison, found: Backtest) -> None:
    """What is missing, with a button that launches it once; what is under way."""
    missing, datasets = found.missing, sum(state == "missing" for state in found.prepared)
    if found.live:
        st.caption("Runs of this backtest are under way.")
        st.page_link("runs/page.py", label="Watch them", icon=":material/list:")
    if not missing:
        return
    parts = [f"{words.count(datasets)} preparation{'s' if datasets > 1 else ''}"] if datasets else []
    parts += [f"{words.count(len(missing))} training{'s' if len(missing) > 1 else ''}"]
    st.caption(f"Missing: {' and '.join(parts)}. {_time(comparison, found)}")
    nonce = st.session_state.setdefault("compare.backtest.nonce", uuid.uuid4().hex)
    computing = computes.choose("compare.backtest.compute", "backtest_compute")
    if st.button("Prepare and train what is missing", type="primary", icon=":material/play_arrow:", key="compare.backtest.launch"):
        try:
            with computing:
                engine.compare.backtest.launch(found, nonce)
        except (LookupError, ValueError, OSError) as error:
            st.error(words.md(error, 600), icon=":material/error:", title="Not launched")
            return
        del st.session_state["compare.backtest.nonce"]
        st.rerun()


def _time(comparison: Comparison, found: Backtest) -> str:
    """How long that takes: trainings as on the whole data, and preparations as that of the whole."""
    try:
        dataset = engine.datasets.get_dataset(comparison.dataset)
        taken = engine.preflight.time_of([one.spec for one in found.missing], dataset)
    except (LookupError, ValueError):
        return ""
    each = dataset.manifest.get("cost", {}).get("seconds")
    datasets = sum(state == "missing" for state in found.prepared)
    preparing = f", and {words.duration(datasets * each)} for the preparations" if datasets and each else ""
    return f"One after another the trainings take {taken} at most, by what was measured here{preparing}." if taken else ""


def figure(comparison: Comparison, found: Windows, label: str) -> go.Figure:
    """A line for each contender over the windows, the oldest first."""
    short, places = engine.compare.names(comparison.contenders), {c.letter: c.color_index for c in comparison.contenders}
    drawn = charts.blank("begin of the window", label, charts.room(len(found.letters)), legend=True)
    order = list(range(len(found.windows)))[::-1]
    names = [engine.compare.backtest.window_name(found.windows[place], place) for place in order]
    for column, letter in enumerate(found.letters):
        look = compare.look(places[letter])
        drawn.add_scatter(
            x=list(range(len(order))), y=[found.values[place, column] for place in order],
            name=words.html(f"{letter} {short[letter]}", 40), mode="lines+markers",
            line={"color": look.color, "dash": look.dash, "width": 2}, marker={"symbol": look.marker, "size": 9},
            hovertemplate="%{y:.4g}",
        )  # fmt: skip
    users = [found.windows[place].users for place in order]
    text = [f"{name}<br>{users[at]:,} users" if users[at] else name for at, name in enumerate(names)]
    drawn.update_xaxes(tickvals=list(range(len(order))), ticktext=text, range=[-0.3, len(order) - 0.7])
    drawn.update_layout(margin={"b": 70})
    return drawn
