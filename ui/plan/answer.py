"""The answer of a plan: whether it fits, where tables go, disk, hours and money, and quality as measured."""

from typing import Literal, cast

import pandas as pd
import streamlit as st

import engine
from engine.plan import Plan, PlanSpec
from engine.preflight import size
from ui.plan import figures
from ui.shared import charts, tables, words

TOOLTIPS = {
    "With optimizer": "Weights and the states of the tables' optimizer, of all parts.",
    "Sharding": "table wise: whole on one rank. row wise: rows over all ranks. table row wise: rows over the ranks of one host. "
    "column wise: columns over ranks. data parallel: whole on every rank.",
    "Ranks": "Ranks that hold a part.",
}


@st.cache_resource(max_entries=16, show_spinner="Planning; the first plan loads TorchRec, which takes some seconds …")
def planned(asked: str, finished: tuple[str, ...], _spec: PlanSpec) -> Plan:
    """The plan of a spec, which stays while neither the spec (`asked`, as JSON) nor the `finished` runs change. Errors as `make_plan`."""
    return engine.plan.make_plan(_spec)


def show(plan: Plan) -> None:
    """Draw all of it."""
    title = words.md(plan.title, 100)
    st.caption(f":material/architecture: **{title}** · {engine.plan.LABEL}: arithmetic, and TorchRec's planner on tables without weights.")
    said = words.md(engine.plan.verdict(plan), 900)
    if plan.why_not:
        st.error(said, icon=":material/block:")
    else:
        st.success(said, icon=":material/check:")
    _tiles(plan)
    if plan.warnings:
        st.warning("  \n".join(words.md(sentence, 400) for sentence in plan.warnings), icon=":material/warning:", title="Before you launch")
    if plan.tables:
        st.header("Where the tables go", anchor=False)
        _picture(plan)
        tables.show(tables.small_table(_tables(plan), "table", left=True, tooltips=TOOLTIPS))
    facts = engine.plan.facts(plan)
    for columns, titles in ((st.columns(2), ("Memory", "On disk")), (st.columns(2), ("Time and money", "Quality"))):
        for column, title in zip(columns, titles, strict=True):
            with column:
                _part(plan, title, facts.get(title, {}))


def _tiles(plan: Plan) -> None:
    """The few numbers that are asked for first."""
    fewest, cost = plan.fewest, plan.cost
    shown = {
        "Fewest devices": f"{fewest.devices:,}" if fewest.devices else words.DASH,
        "Fullest device": size(plan.fullest.bytes) if plan.fullest else words.DASH,
        "Checkpoint": size(plan.storage.checkpoint_bytes),
        "Dataset": size(plan.storage.dataset_bytes) if plan.storage.dataset_bytes is not None else words.DASH,
        "Training": f"≥ {engine.preflight.duration(3600 * cost.hours)}" if cost else words.DASH,
        "Price": f"≥ {cost.money:,.0f}" if cost and cost.money is not None else words.DASH,
    }
    with st.container(horizontal=True, gap="medium"):
        for name, value in shown.items():
            st.metric(name, value, width=150)


@st.fragment  # a choice here draws this part of the page alone
def _picture(plan: Plan) -> None:
    chosen = st.segmented_control(
        "Shows", list(figures.AMOUNTS), format_func=lambda one: figures.AMOUNTS[one], default="bytes", required=True, key="plan.amount"
    )
    amount = cast(Literal["bytes", "lookups"], chosen or "bytes")
    charts.show(figures.placement(plan, amount), figures.alt(plan, amount, engine.plan.verdict), key=f"plan.placement.{amount}")
    left_out = len(plan.tables) - figures.MOST_TABLES
    more = f" The {left_out} smallest tables are in the list alone." if left_out > 0 else ""
    said = f"A column for each rank; lines part the hosts. The stronger the blue, the more {figures.AMOUNTS[amount].lower()}."
    st.caption(said + more)


def _tables(plan: Plan) -> pd.DataFrame:
    rows = {
        table.name: {
            "Rows × width": f"{table.rows:,} × {table.width:,}",
            "With optimizer": size(sum(part.table_bytes + part.state_bytes for part in table.parts)),
            "Sharding": table.sharding.replace("_", " "),
            "Ranks": f"{len({part.rank for part in table.parts}):,}",
            "Largest part": size(max(part.table_bytes + part.state_bytes for part in table.parts)),
        }
        for table in plan.tables
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _part(plan: Plan, title: str, rows: dict[str, str]) -> None:
    st.header("Quality, as measured here" if title == "Quality" else title, anchor=False)
    if rows:
        tables.show(tables.small_table(pd.DataFrame({"": rows}), left=True))
    if title == "Time and money":
        st.caption("  \n".join(words.md(sentence, 400) for sentence in plan.assumptions))
    if title == "Quality":
        st.caption(words.md(engine.plan.quality_note(plan) or "No finished run of this model tells what it reaches.", 600))
