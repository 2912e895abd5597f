"""Which metrics the Compare page shows, and whether contenders are its columns or its rows; both stand in the address."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import streamlit as st

import engine
from ui.components import address, exporting, tables

USUAL = {
    "ranking": ("ndcg_at_10", "recall_at_10", "recall_at_100", "mrr", "coverage_at_10"),
    "pointwise": ("auc", "log_loss", "calibration", "ece"),
}  # of families with many metrics; of others the first FEW
FEW = 4
ALL, NONE = "all", "none"  # in the address
LONGEST = 2000
LAID_OUT = "compare.turned"  # in the session: whether the page was laid out for contenders as rows


class Shown(NamedTuple):
    """Metrics in their order, and the one by which contenders stand as rows; None: they are columns."""

    keys: list[str]
    order: str | None


@st.fragment
def section(comparison: Any, alarms: Mapping[str, list[str]], said: Sequence[str]) -> None:
    """The metric table under what it is chosen and taken away by; a choice draws this part of the page alone.

    Args:
        alarms: letter -> what looks wrong with it. said: the verdict, for whoever takes it along.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Metrics on test", anchor=False, width="content")
        shown = pick(comparison)
        exporting.offer(comparison, said)
    table(comparison, shown, alarms)
    if (shown.order is not None) != st.session_state.get(LAID_OUT, False):
        st.rerun()


def pick(comparison: Any) -> Shown:
    """A popover of all metrics that were measured, by family; bound to ?metrics= and ?order=."""
    families = _families(comparison)
    every = [key for keys in families.values() for key in keys]
    usual = [key for keys in families.values() for key in _usual(keys)]
    asked = _asked(every, usual)
    with st.popover("Metrics", icon=":material/view_column:"):
        chosen: list[str] = []
        for family, keys in families.items():
            key = f"compare.metrics.{family}"
            address.seed(key, "metrics", [name for name in keys if name in asked])
            st.session_state[key] = [name for name in st.session_state[key] if name in keys]
            label = tables.FAMILIES.get(family, family.capitalize())
            chosen += st.pills(label, keys, selection_mode="multi", format_func=_label, key=key)
        chosen = [key for key in every if key in chosen]
        order = _order(chosen)
    _remember(families, chosen, every, usual)
    return Shown(chosen, order)


def turned() -> bool:
    """Whether contenders will be rows, which take the page's width; asked when the page is laid out, before `section`."""
    st.session_state[LAID_OUT] = bool(st.session_state.get("compare.order", address.value("order")))
    return bool(st.session_state[LAID_OUT])


def _families(comparison: Any) -> dict[str, list[str]]:
    """Family -> its metrics that some contender has, all in the order of the protocol."""
    measured = set(comparison.table.loc[comparison.table["value"].notna(), "metric"])
    found: dict[str, list[str]] = {}
    for key, metric in engine.METRICS.items():
        if key in measured:
            found.setdefault(metric.family, []).append(key)
    return found


def _usual(keys: Sequence[str]) -> list[str]:
    """The metrics of one family that are shown to who has not chosen."""
    known = [key for key in keys if key in USUAL.get(engine.METRICS[keys[0]].family, ())]
    return known or list(keys[:FEW])


def _asked(every: Sequence[str], usual: Sequence[str]) -> Sequence[str]:
    """The metrics of the address; the usual ones where it names none that was measured."""
    text = st.query_params.get("metrics", "")[:LONGEST]
    if text in (ALL, NONE):
        return every if text == ALL else []
    named = {part.strip() for part in text.split(",")}
    return [key for key in every if key in named] or usual


def _remember(families: Mapping[str, Sequence[str]], chosen: list[str], every: list[str], usual: list[str]) -> None:
    text = None if chosen == usual else NONE if not chosen else ALL if chosen == every else ",".join(chosen)
    for family in families:
        address.remember(f"compare.metrics.{family}", "metrics", text)


def _order(chosen: Sequence[str]) -> str | None:
    """By which of the metrics shown contenders are ordered as rows; None where they are columns."""
    options, asked = ["", *chosen], address.value("order") or ""
    address.seed("compare.order", "order", asked if asked in options else "")
    if st.session_state["compare.order"] not in options:
        st.session_state["compare.order"] = ""
    told = "Columns set metrics below each other, as they are read of few contenders; rows order many contenders by one metric."
    found = st.selectbox("Contenders", options, format_func=_arranged, key="compare.order", help=told)
    address.remember("compare.order", "order", found or None)
    return found or None


def _label(key: str) -> str:
    return engine.METRICS[key].label


def _arranged(key: str) -> str:
    return f"a row each, best {engine.METRICS[key].label} first" if key else "a column each"


def table(comparison: Any, shown: Shown, alarms: Mapping[str, list[str]]) -> None:
    """The metrics that were chosen, as they were arranged."""
    if not shown.keys:
        st.caption("No metric is chosen; choose some under *Metrics*.")
        return
    if shown.order is None:
        tables.show(tables.metric_table(comparison, comparison.against, alarms, shown.keys))
    else:
        tables.show(tables.leaderboard(comparison, comparison.against, shown.keys, shown.order, alarms))
    st.caption(tables.legend(comparison))
