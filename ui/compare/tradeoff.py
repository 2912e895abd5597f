"""Quality against cost on the Compare page: a point per run, and the Pareto front."""

from collections.abc import Collection
from typing import Literal, cast

import pandas as pd
import streamlit as st

import engine
from engine import compare
from engine.compare import Comparison, Contender
from ui.compare import view
from ui.shared import address, charts, contents, words


@st.fragment  # a choice here draws this part of the page alone
def section(comparison: Comparison) -> None:
    """Test quality against one cost, the Pareto front, popularity as a line; bound to ?quality= and ?cost=."""
    costs = comparison.costs.set_index("fact")
    runs = [c for c in comparison.contenders if c.run_id is not None]
    letters = [c.letter for c in runs if c.letter in costs.columns]
    of_fact = {fact: cast(pd.Series, costs.loc[fact, letters]) for fact in costs.index if letters}
    facts = [fact for fact, values in of_fact.items() if pd.to_numeric(values, errors="coerce").notna().any()]
    if not facts:
        return
    contents.header("Quality and cost")
    of_runs = comparison.table[comparison.table["contender"].isin(letters) & comparison.table["value"].notna()]
    keys = [key for key in engine.specs.METRICS if key in set(of_runs["metric"])]
    if not keys:
        st.caption("No run has a metric to plot against cost.")
        return
    left, right = st.columns(2)
    with left:
        key = address.select("Quality", "compare.quality", "quality", {key: engine.specs.METRICS[key].label for key in keys})
    with right:
        fact = address.select("Cost", "compare.cost", "cost", {str(fact): str(fact) for fact in facts})
    view.note(quality=key, cost=fact)
    frame = _points(comparison, runs, key, fact)
    if frame.empty:
        st.caption("No run has both.")
        return
    unit = str(costs.loc[fact, "unit"] or "")
    cheaper: Literal["lower", "higher"] = "higher" if unit.endswith("/s") else "lower"
    judged = frame["y"].mask(frame["letter"].isin(comparison.incomplete))  # whose results cannot all be read can win nothing
    frame["front"] = engine.compare.pareto_front(frame["x"].tolist(), judged.tolist(), engine.specs.METRICS[key].better, cheaper)
    values = comparison.table[comparison.table["metric"] == key].set_index("contender")["value"]
    label, x = engine.specs.METRICS[key].label, f"{fact} ({unit})" if unit else str(fact)
    figure = charts.quality_cost(frame, x, label, values.get("pop"), height=charts.room(len(frame) + 1), rising=cheaper == "lower")
    charts.show(figure, f"{label} against {fact} of {len(frame)} runs; {_plain(frame)}", key="compare.scatter")
    st.caption(sentence(frame, cheaper, comparison.incomplete))


def sentence(frame: pd.DataFrame, cheaper: Literal["lower", "higher"], incomplete: Collection[str] = ()) -> str:
    """Markdown: who is on the front, from the cheapest on, and what that means for the others.

    Args:
        frame: letter, name, x, low and front of each run. incomplete: letters of those who can be on no front.
    """
    lacking = [letter for letter in frame["letter"] if letter in incomplete]
    apart = f" Drawn, but left out of the front since not all of their results can be read: {', '.join(lacking)}." if lacking else ""
    frame = frame[~frame["letter"].isin(lacking)]
    if frame.empty:
        return "Nobody is on a Pareto front." + apart
    ordered = frame[frame["front"]].sort_values("x", ascending=cheaper == "lower", kind="stable")
    named = [f"**{row['letter']} {words.md(row['name'], 60)}**" for row in ordered.to_dict("records")]
    others = frame.loc[~frame["front"], "letter"].tolist()
    first, no_worse = ("cheapest", "costs no more") if cheaper == "lower" else ("fastest", "is no slower")
    text = (
        f"On the Pareto front, {first} first: {', '.join(named)}."
        if len(named) > 1
        else f"Alone on the Pareto front: {named[0]}, {first} and best."
    )
    if others:
        text += f" For each of the others ({', '.join(others)}) a run on the front {no_worse} and is at least as good."
    if len(frame) > 1 and frame["low"].notna().any():
        text += " The front ignores uncertainty: where intervals overlap, another sample of users may change the order."
    return text + apart


def _plain(frame: pd.DataFrame) -> str:
    """Who is on the front, for those who do not see the figure."""
    return f"on the Pareto front: {', '.join(frame.loc[frame['front'], 'letter'])}"


def _points(comparison: Comparison, runs: list[Contender], key: str, fact: str) -> pd.DataFrame:
    """letter, name, x, y, low, high, color and marker of each run that has the metric and the cost."""
    table, costs = comparison.table[comparison.table["metric"] == key].set_index("contender"), comparison.costs.set_index("fact")
    short, points = engine.compare.names(comparison.contenders), []
    for one in runs:
        if one.letter in table.index and one.letter in costs.columns:
            drawn, row = compare.look(one.color_index), table.loc[one.letter]
            cost = float(costs[one.letter].loc[fact])
            points.append((one.letter, short[one.letter], cost, row["value"], row["low"], row["high"], drawn.color, drawn.marker))
    frame = pd.DataFrame(points, columns=["letter", "name", "x", "y", "low", "high", "color", "marker"])
    return frame.dropna(subset=["x", "y"]).reset_index(drop=True)
