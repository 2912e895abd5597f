"""Where contenders differ: one metric by groups of users or items, a dot and its interval for each contender in each group."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

import engine
from engine import compare
from engine.compare import GRAY, Comparison
from ui.compare import view
from ui.shared import address, charts, contents, words

Row = Mapping[Hashable, Any]  # of the frame that `engine.compare.sliced` gives
CROWDED = 6  # contenders from which on their dots are drawn closer together


@st.cache_resource(max_entries=16, show_spinner=False)
def _choices(key: str, _comparison: Comparison) -> dict[str, tuple[str, list[str]]]:
    found = {by: (name, engine.compare.slice_metrics(_comparison, by)) for by, name in engine.compare.slice_choices(_comparison).items()}
    return {by: (name, metrics) for by, (name, metrics) in found.items() if metrics}


@st.cache_resource(max_entries=64, show_spinner=False)
def _sliced(key: str, by: str, metric: str, _comparison: Comparison) -> pd.DataFrame:
    return engine.compare.sliced(_comparison, by, metric)


def key_of(comparison: Comparison) -> str:
    """What identifies a comparison; finished runs do not change, so neither do results that are computed from it."""
    return repr([comparison.dataset, comparison.k, *((c.letter, c.run_ids, c.run_id) for c in comparison.contenders)])


def show(comparison: Comparison) -> None:
    """The section: what to slice by and which metric, then the figure; bound to ?slice= and ?sliced=. No section without slices."""
    choices = _choices(key_of(comparison), comparison)
    if not choices:
        return
    contents.header("Where they differ")
    left, right = st.columns(2)
    with left:
        by = address.select("Slice by", "compare.slice", "slice", {one: name for one, (name, _) in choices.items()})
    name, metrics = choices[by]
    labels = {metric: engine.specs.metric(metric).label for metric in metrics}
    with right:
        metric = address.select("Metric", f"compare.sliced.{'.'.join(metrics)}", "sliced", labels)
    view.note(slice_by=by, sliced=metric)
    frame = _shown(comparison, _sliced(key_of(comparison), by, metric, comparison))
    if frame.empty:
        st.caption("No slice has a value of this metric.")
        return
    units = "rows" if metric == "auc" else "users"
    alt = f"{labels[metric]} by {name.lower()}: {frame['contender'].nunique()} contenders in {frame['slice'].nunique()} slices. "
    charts.show(figure(frame, comparison, labels[metric], units), alt + leaders(frame, metric), key="compare.slices")
    st.caption(" ".join(filter(None, [words.md(leaders(frame, metric), 900), engine.compare.SLICE_NOTES.get(by, ""), _few(frame, units)])))


def _shown(comparison: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    """Without random lists where popularity is there to compare with: they lengthen the axis and add nothing."""
    models = {c.letter: c.model for c in comparison.contenders}
    random = [letter for letter, model in models.items() if model == "random"]
    return frame[~frame["contender"].isin(random)] if "popularity" in models.values() else frame


def leaders(frame: pd.DataFrame, metric: str) -> str:
    """Who has the best value in how many slices. The text holds names from data and must be escaped."""
    better = engine.specs.metric(metric).better
    known = frame.dropna(subset=["value"])
    if better == "one" or known["contender"].nunique() < 2:
        return ""
    ordered = known.sort_values("value", ascending=better == "lower", kind="stable").drop_duplicates("slice")
    won = {str(one): rows["slice"].tolist() for one, rows in ordered.groupby("contender", sort=True)}
    order, every = sorted(won, key=lambda one: -len(won[one])), known["slice"].nunique()
    if len(order) == 1:
        return f"Best in every slice: {order[0]}."
    first, *rest = order
    others = [f"{one} in {', '.join(won[one])}" for one in rest]
    return f"Best: {first} in {len(won[first])} of {every} slices; {'; '.join(others)}."


def _few(frame: pd.DataFrame, units: str) -> str:
    return f"Pale: fewer than {engine.compare.FEW_IN_SLICE} {units}." if (frame["n"] < engine.compare.FEW_IN_SLICE).any() else ""


def figure(frame: pd.DataFrame, comparison: Comparison, metric: str, units: str) -> go.Figure:
    """Slices from top to bottom with their counts, contenders below each other in each.

    Args:
        frame: slice, contender, value, low, high, n. metric: its label. units: what n counts.
    """
    names, short = list(dict.fromkeys(frame["slice"])), engine.compare.names(comparison.contenders)
    shown = [c for c in comparison.contenders if c.letter in set(frame["contender"])]
    step = (16 if len(shown) <= CROWDED else 10) * len(shown) + 16  # pixels of a slice
    drawn = charts.blank(metric, "", height=max(44, step) * len(names) + 110, legend=True)
    for place, one in enumerate(shown):
        rows, look = frame[frame["contender"] == one.letter], compare.look(one.color_index, baseline=one.run_id is None)
        offset = ((place + 0.5) / len(shown) - 0.5) * 0.8
        label = words.html(one.name if one.run_id is None else f"{one.letter} {short[one.letter]}", 40)
        drawn.add_scatter(
            x=rows["value"],
            y=[names.index(name) + offset for name in rows["slice"]],
            error_x=_whiskers(rows, look.color),
            name=label,
            mode="markers",
            cliponaxis=False,
            marker={
                "size": 9,
                "color": look.color,
                "symbol": "line-ns-open" if one.run_id is None else look.marker,
                "opacity": [0.35 if n < engine.compare.FEW_IN_SLICE else 1.0 for n in rows["n"]],
            },
            customdata=[f"{words.html(row['slice'], 60)}<br>{_reach(row)} · {row['n']:,} {units}" for row in rows.to_dict("records")],
            hovertemplate=f"{label}<br>%{{customdata}}<extra></extra>",
        )
    return _labelled(drawn, frame, names, units)


def _whiskers(rows: pd.DataFrame, color: str) -> dict[str, Any]:
    up, down = (rows["high"] - rows["value"]).fillna(0), (rows["value"] - rows["low"]).fillna(0)
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 0, "color": color}


def _reach(row: Row) -> str:
    if words.missing(row["low"]):
        return words.number(row["value"])
    return f"{words.number(row['value'])} ({words.number(row['low'])} to {words.number(row['high'])})"


def _labelled(drawn: go.Figure, frame: pd.DataFrame, names: list[str], units: str) -> go.Figure:
    """Names of slices with their counts on the left, and a line between slices."""
    counts = frame.groupby("slice", sort=False)["n"].max()
    labels = []
    for name in names:
        below = f'<span style="font-size:11px;color:{GRAY}">{counts[name]:,} {units}</span>'
        label = words.html(name, 26)
        labels.append(
            f'<span style="color:{GRAY}">{label}</span><br>{below}' if counts[name] < engine.compare.FEW_IN_SLICE else f"{label}<br>{below}"
        )
    for place in range(1, len(names)):
        drawn.add_hline(y=place - 0.5, line={"color": "rgba(128,138,150,0.35)", "width": 1})
    drawn.update_yaxes(tickvals=list(range(len(names))), ticktext=labels, range=[len(names) - 0.5, -0.5], showgrid=False, fixedrange=True)
    longest = max(min(26, len(str(name))) for name in [*names, "1,000 users"])
    drawn.update_layout(hovermode="closest", margin={"l": 20 + 7 * longest})
    return drawn
