"""The Compare page's parts: baseline, runs that stand apart, curves, quality against cost, settings."""

from typing import Any

import pandas as pd
import streamlit as st

import engine
from ui.components import address, charts, contenders, tables, words

BASELINES = {"popularity": "Popularity", "random": "Random", "user_mean": "User mean", "oracle": "Best possible"}
HEIGHT = 400  # of the two figures beside each other
BESIDE = 4  # contenders whose table has room beside the curves; a wider one gets the page's width


def baseline(groups: list[list[str]]) -> str:
    """What differences are taken against: a baseline of the dataset or one of the contenders; bound to ?baseline=.

    Args:
        groups: the run ids behind each contender, in the order of their letters.
    """
    firsts = [group[0] for group in groups]
    options = [*_known_baselines(firsts), *firsts]
    asked, usual = address.value("baseline"), options[0]
    asked = next((group[0] for group in groups if asked in group), asked)
    address.seed("compare.baseline", "baseline", asked if asked in options else usual)
    if st.session_state["compare.baseline"] not in options:
        st.session_state["compare.baseline"] = usual
    short = words.short_names({run_id: engine.get_run(run_id).title for run_id in firsts})
    names = {name: BASELINES.get(name, words.field_label(name)) for name in options} | {
        run_id: f"{chr(65 + at)} · {words.plain(short[run_id], 60)}" for at, run_id in enumerate(firsts)
    }
    chosen = st.selectbox("Differences against", options, format_func=lambda name: names[name], key="compare.baseline")
    address.remember("compare.baseline", "baseline", None if chosen == usual else chosen)
    return chosen or usual


def _known_baselines(run_ids: list[str]) -> list[str]:
    """What needs no training on the dataset of the first run, in the order that people know; none when the dataset is gone."""
    try:
        found = engine.baseline_results(engine.get_run(run_ids[0]).dataset or "")
    except (LookupError, ValueError, OSError):
        return []
    return sorted(found, key=lambda name: list(BASELINES).index(name) if name in BASELINES else len(BASELINES))


@st.cache_resource(max_entries=16, show_spinner=False)
def compared(run_ids: tuple[str, ...], baseline_name: str, seeds: bool) -> Any:
    """The comparison of finished runs; their results no longer change, so neither does this."""
    return engine.compare(run_ids, baseline=baseline_name, seeds=seeds)


def apart(comparison: Any) -> None:
    """Runs that were asked for but are no comparison, each with its reason."""
    for title, reason in comparison.apart:
        st.warning(f"**{words.md(title, 80)}** stands apart: {words.md(reason, 300)}.", icon=":material/call_split:")


def dataset_name(comparison: Any) -> str:
    """The dataset's title; its id when it is gone."""
    try:
        return str(engine.get_dataset(comparison.dataset).title)
    except LookupError:
        return str(comparison.dataset)


def no_ranking(comparison: Any) -> str | None:
    """Why the runs can only be compared by how they judge rows; None when they rank, or when their dataset is gone."""
    try:
        return engine.why_no_ranking(engine.get_dataset(comparison.dataset))
    except LookupError:
        return None


def curves(comparison: Any) -> None:
    """Validation metrics or the training loss over epochs, steps or time; the choice is bound to ?metric=."""
    frame = comparison.curves
    st.subheader("Curves", anchor=False)
    present = set(frame["metric"]) if len(frame) else set()
    options = {key: f"{metric.label} (validation)" for key, metric in engine.METRICS.items() if f"valid_{key}" in present}
    options |= {"train_loss": "Training loss"} if "train_loss" in present else {}
    if not options:
        st.caption("These runs recorded no curves.")
        return
    asked = address.value("metric")
    address.seed("compare.metric", "metric", asked if asked in options else next(iter(options)))
    if st.session_state["compare.metric"] not in options:
        st.session_state["compare.metric"] = next(iter(options))
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        metric = st.selectbox("Metric", list(options), format_func=lambda key: options[key], key="compare.metric") or next(iter(options))
    address.remember("compare.metric", "metric", metric)
    rows = frame[frame["metric"] == (metric if metric == "train_loss" else f"valid_{metric}")]
    axes = [x for x in ("epoch", "step", "time_s") if rows[x].notna().any() and not (x == "epoch" and metric == "train_loss")]
    names = {"epoch": "Epochs", "step": "Steps", "time_s": "Seconds"}
    with right:
        x = st.selectbox("Over", axes, format_func=lambda axis: names[axis], key=f"compare.over.{metric == 'train_loss'}") or axes[0]
    short = contenders.names(comparison.contenders)
    runs = [c for c in comparison.contenders if c.run_id is not None]
    shown = {c.letter: (f"{c.letter} {short[c.letter]}", charts.look(c.color_index)) for c in runs if c.letter in set(rows["contender"])}
    label = "training loss" if metric == "train_loss" else engine.METRICS[metric].label
    charts.show(
        charts.curves(rows, shown, x, label, height=HEIGHT),
        f"{options[metric]} of {len(shown)} runs over {names[x].lower()}",
        key="compare.curves",
    )
    without = [c.letter for c in runs if c.letter not in shown]
    if without:
        st.caption(f"No such curve of {', '.join(without)}: fitted at once, or not recorded.")
    if metric == "train_loss":
        st.caption("Losses of different objectives have different units; compare a loss with itself only.")


def quality_cost(comparison: Any) -> None:
    """Test quality against one cost, a point a run, popularity as a line."""
    costs = comparison.costs.set_index("fact")
    runs = [c for c in comparison.contenders if c.run_id is not None]
    letters = [c.letter for c in runs if c.letter in costs.columns]
    facts = [fact for fact in costs.index if letters and pd.to_numeric(costs.loc[fact, letters], errors="coerce").notna().any()]
    if not facts:
        return
    st.subheader("Quality and cost", anchor=False)
    of_runs = comparison.table[comparison.table["contender"].isin(letters) & comparison.table["value"].notna()]
    keys = [key for key in engine.METRICS if key in set(of_runs["metric"])]
    if not keys:
        st.caption("No run has a metric that a cost could be set against.")
        return
    left, right = st.columns(2)
    with left:
        key = st.selectbox("Quality", keys, format_func=lambda name: engine.METRICS[name].label, key="compare.quality") or keys[0]
    with right:
        fact = st.selectbox("Cost", facts, key="compare.cost") or facts[0]
    frame = _points(comparison, runs, key, fact)
    if frame.empty:
        st.caption("No run has both.")
        return
    unit = costs.loc[fact, "unit"]
    values = comparison.table[comparison.table["metric"] == key].set_index("contender")["value"]
    label, x = engine.METRICS[key].label, f"{fact} ({unit})" if unit else str(fact)
    figure = charts.quality_cost(frame, x, label, values.get("pop"), height=HEIGHT)
    charts.show(figure, f"{label} against {fact} of {len(frame)} runs", key="compare.scatter")


def _points(comparison: Any, runs: list[Any], key: str, fact: str) -> pd.DataFrame:
    """letter, name, x, y, low, high, color and marker of each run that has the metric and the cost."""
    table, costs = comparison.table[comparison.table["metric"] == key].set_index("contender"), comparison.costs.set_index("fact")
    short, points = contenders.names(comparison.contenders), []
    for one in runs:
        if one.letter in table.index and one.letter in costs.columns:
            drawn, row = charts.look(one.color_index), table.loc[one.letter]
            cost = float(costs.loc[fact, one.letter])
            points.append((one.letter, short[one.letter], cost, row["value"], row["low"], row["high"], drawn.color, drawn.marker))
    frame = pd.DataFrame(points, columns=["letter", "name", "x", "y", "low", "high", "color", "marker"])
    return frame.dropna(subset=["x", "y"])


def settings(comparison: Any) -> None:
    """The settings in which the runs differ, or all of them."""
    runs = [c for c in comparison.contenders if c.run_id is not None]
    if len(runs) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Settings", anchor=False, width="content")
        only = st.toggle("Only what differs", value=True, key="compare.differs")
    frame = comparison.differences if only else comparison.settings
    if frame.empty:
        st.caption("The runs have the same settings.")
        return
    tables.show(tables.settings_table(frame, runs))
