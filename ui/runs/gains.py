"""What the trees of a finished run looked at most: the gain of their splits by feature."""

import plotly.graph_objects as go
import streamlit as st

import engine
from engine.compare import COLORS
from engine.runs import Gain, Run
from ui.shared import charts, words

MEANING = (
    "The share of a feature in what all splits of all trees took off the loss (gain). It says what the trees looked at while they were "
    "grown: features with many different values gain more by chance, and of two that say the same one may have it all."
)
MOST_BARS = 20


def section(run: Run) -> None:
    """A bar for each feature; nothing for a model without trees."""
    try:
        gains = engine.runs.gains(run.run_id)
    except ValueError as error:
        st.error(words.md(error, 600), icon=":material/broken_image:")
        return
    if not gains:
        return
    st.markdown("**What the trees looked at**", help=MEANING)
    said = ", ".join(f"{one.feature} {words.percent(one.share)}" for one in gains[:5])
    charts.show(gains_chart(gains), f"Share of the gain by feature: {said}", key=f"gains.{run.run_id}")
    if len(gains) > MOST_BARS:
        st.caption(f"The {MOST_BARS} features that gained most, of {len(gains)} that a tree reads.")


def gains_chart(gains: list[Gain]) -> go.Figure:
    """A bar for each of the first features, the largest on top."""
    rows = gains[:MOST_BARS]
    drawn = charts.blank("share of the gain of all splits", "", max(140, 60 + 26 * len(rows)))
    drawn.add_bar(
        x=[one.share for one in rows], y=[words.html(one.feature, 40) for one in rows], orientation="h", marker={"color": COLORS[0]},
        hovertemplate="%{x:.1%}<extra></extra>",
    )  # fmt: skip
    drawn.update_layout(margin={"l": 230}, hovermode="closest")
    drawn.update_yaxes(autorange="reversed")
    drawn.update_xaxes(tickformat=".0%", rangemode="tozero")
    return drawn
