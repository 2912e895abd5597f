"""Which metrics the Compare page shows, and whether contenders are columns or rows; the address keeps both."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import streamlit as st

import engine
from engine.compare import Comparison
from ui.compare import export, metric_tables
from ui.compare.metric_tables import Alarms
from ui.registry import offer
from ui.shared import address, contents, tables

USUAL = {
    "ranking": ("ndcg_at_{k}", "recall_at_{k}", "recall_at_100", "mrr"),
    "pointwise": ("auc", "log_loss", "calibration", "ece"),
}  # of families with many metrics; of others the first FEW
FEW = 4
ALL, NONE = "all", "none"  # in the address
LONGEST = 2000
CUTOFF = re.compile(r"_at_\d+$")
LAID_OUT = "compare.turned"  # in the session: whether the page was laid out for contenders as rows
DRAWN_AT = "compare.drawn_at"  # in the session: the k that the rest of the page was drawn with


class MetricChoice(NamedTuple):
    """Metrics in their order, and the one that orders contenders as rows; None: contenders are columns."""

    keys: list[str]
    order: str | None


@st.fragment
def section(at: Callable[[int], Comparison], alarms: Alarms) -> None:
    """The metric table, with the choice of metrics and the exports above it; a choice redraws this part of the page alone.

    Args:
        at: the comparison with the metrics of lists at some k. alarms: letter -> what looks wrong with it.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        contents.header("Metrics on test", width="content")
        chosen_at = st.popover("Metrics", icon=":material/view_column:")
        with chosen_at:
            comparison = at(_cutoff())
            choice = pick(comparison)
        export.offer(comparison)
        _register(comparison)
    table(comparison, choice, alarms)
    if (choice.order is not None) != st.session_state.get(LAID_OUT, False) or comparison.k != st.session_state.get(DRAWN_AT, comparison.k):
        st.rerun()


def _register(comparison: Comparison) -> None:
    """Offer to register a contender, first the one that is best for retrieval."""
    named = engine.compare.names(comparison.contenders)
    titles = {one.run_id: f"{one.letter} · {named[one.letter]}" for one in comparison.contenders if one.run_id is not None}
    leads = [judged.run for _, judged in engine.compare.verdict_of(comparison).of_stages() if judged.run]
    best = next((one.run_id for one in comparison.contenders if leads and one.letter == leads[0]), None)
    offer.offer(titles, [run_id for one in comparison.contenders for run_id in one.runs], best, "compare.register")


def pick(comparison: Comparison) -> MetricChoice:
    """All metrics that were measured, by family; bound to ?metrics= and ?order=."""
    families, k = _families(comparison), comparison.k
    every = [key for keys in families.values() for key in keys]
    usual = [key for keys in families.values() for key in _usual(keys, k)]
    asked, chosen = _asked(every, usual, k), list[str]()
    for family, keys in families.items():
        key = f"compare.metrics.{family}.{k}"
        address.seed(key, "metrics", [name for name in keys if name in asked])
        st.session_state[key] = [name for name in st.session_state[key] if name in keys]
        label = engine.compare.FAMILIES.get(family, family.capitalize())
        chosen += st.pills(label, keys, selection_mode="multi", format_func=_label, key=key)
    chosen = [key for key in every if key in chosen]
    order = _order(chosen, k)
    text = None if chosen == usual else NONE if not chosen else ALL if chosen == every else ",".join(chosen)
    for family in families:
        address.remember(f"compare.metrics.{family}.{k}", "metrics", text)
    return MetricChoice(chosen, order)


def _cutoff() -> int:
    """The k of the lists that are measured; bound to ?k=."""
    address.seed("compare.k", "k", _asked_k())
    meaning = f"How many items of each list count. At {engine.compare.STORED_K} the other measured cutoffs can be chosen too."
    k = int(st.number_input("k of the lists", 1, engine.compare.MOST_K, key="compare.k", help=meaning, width=160))
    address.remember("compare.k", "k", None if k == engine.compare.STORED_K else str(k))
    return k


def _asked_k() -> int:
    """The k of the address; the usual one where it names none."""
    asked = address.value("k") or ""
    return int(asked) if asked.isascii() and asked.isdecimal() and 1 <= int(asked) <= engine.compare.MOST_K else engine.compare.STORED_K


def drawn_at() -> int:
    """The k of the lists, for what is drawn outside `section`; asked when the page is laid out, before it."""
    st.session_state[DRAWN_AT] = int(st.session_state.get("compare.k", _asked_k()))
    return int(st.session_state[DRAWN_AT])


def at_cutoff(key: str, k: int) -> str:
    """The same metric at another k; one without a cutoff stays."""
    return CUTOFF.sub(f"_at_{k}", key)


def turned() -> bool:
    """Whether contenders will be rows, which take the page's width; asked when the page is laid out, before `section`."""
    st.session_state[LAID_OUT] = bool(st.session_state.get("compare.order", address.value("order")))
    return bool(st.session_state[LAID_OUT])


def _families(comparison: Comparison) -> dict[str, list[str]]:
    """Family -> its metrics that some contender has, all in the order of the protocol."""
    found: dict[str, list[str]] = {}
    for key in dict.fromkeys(comparison.table.loc[comparison.table["value"].notna(), "metric"]):
        found.setdefault(engine.specs.metric(key).family, []).append(key)
    return found


def _usual(keys: Sequence[str], k: int) -> list[str]:
    """The metrics of one family that are shown to who has not chosen."""
    wanted = {name.format(k=k) for name in USUAL.get(engine.specs.metric(keys[0]).family, ())}
    return [key for key in keys if key in wanted] or list(keys[:FEW])


def _asked(every: Sequence[str], usual: Sequence[str], k: int) -> Sequence[str]:
    """The metrics of the address, at this k where they are there at no other; the usual ones where it names none that was measured."""
    text = st.query_params.get("metrics", "")[:LONGEST]
    if text in (ALL, NONE):
        return every if text == ALL else []
    parts = [part.strip() for part in text.split(",")]
    named = {part if part in every else at_cutoff(part, k) for part in parts}
    return [key for key in every if key in named] or usual


def _order(chosen: Sequence[str], k: int) -> str | None:
    """By which of the metrics shown contenders are ordered as rows; None where they are columns."""
    options = ["", *chosen]
    address.seed("compare.order", "order", address.value("order") or "")
    asked = str(st.session_state["compare.order"])
    if asked not in options:
        st.session_state["compare.order"] = at_cutoff(asked, k) if at_cutoff(asked, k) in options else ""
    meaning = "A column each suits few contenders; a row each orders many contenders by one metric."
    order = st.selectbox("Contenders", options, format_func=_arranged, key="compare.order", help=meaning)
    address.remember("compare.order", "order", order or None)
    return order or None


def _label(key: str) -> str:
    return engine.specs.metric(key).label


def _arranged(key: str) -> str:
    return f"a row each, best {engine.specs.metric(key).label} first" if key else "a column each"


def table(comparison: Comparison, choice: MetricChoice, alarms: Alarms) -> None:
    """The metrics that were chosen, as they were arranged."""
    if not choice.keys:
        st.caption("No metric is chosen; choose some under *Metrics*.")
        return
    if choice.order is None:
        tables.show(metric_tables.metric_table(comparison, comparison.against, alarms, choice.keys))
    else:
        tables.show(metric_tables.leaderboard(comparison, comparison.against, choice.keys, choice.order, alarms))
    st.caption(metric_tables.legend(comparison))
