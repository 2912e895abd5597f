"""What is in the data and what is wrong with it: one picture of an audit, before preparing and after."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

import engine
from ui.data import dataset_charts
from ui.shared import charts, tables, words

SHOWN_ASIDE, MOST_ASIDE = 200, 200_000
MOST_NOTES = 3  # that stand open; more are folded
OUTPUTS = {"binary": "liked or not", "regression": "the value", "multi_class": "the class", "actions": "each action"}
TOLD = {
    "rows read": "Rows of the source that were read; each is either used or set aside.",
    "rows used": "Rows that train, validate or test models.",
    "users": "Different user ids in the rows used.",
    "items": "Different item ids in the rows used.",
    "filled": "Share of all pairs of a user and an item that have a row; the emptier, the harder it is to rank.",
    "copies": "Rows with the very same content as another row.",
    "repeated": "Pairs of a user and an item that occur in more than one row.",
    "conflicting": "Repeated pairs whose rows do not agree on the label.",
    "from": "The earliest moment of the rows used, in UTC.",
    "to": "The latest moment of the rows used, in UTC.",
    "output": "What models learn to predict on this data.",
    "apart": "Every row that was read is in this bar once: used, or set aside for one reason.",
    "tail": "How much of everything the most popular items have; the further above the dotted line, the more a model can win by "
    "showing what everybody takes.",
    "activity": "How many users have how many interactions; those with few are known to models by little.",
    "popularity": "How many items have how many interactions; those with few are hard to place.",
    "over time": "Share of rows that are liked as time goes by; a drift means that test differs from train.",
}


def findings(audit: Any) -> None:
    """What refuses, what to look at, and how things were taken, in that order."""
    for level, box, icon in (("block", st.error, ":material/block:"), ("warn", st.warning, ":material/warning:")):
        for finding in audit.findings:
            if finding.level == level:
                box(words.md(finding.text, 600), icon=icon)
    plain = [f":material/info: {words.md(finding.text, 600)}" for finding in audit.findings if finding.level == "info"]
    if len(plain) > MOST_NOTES:
        with st.expander(f"How things were taken ({len(plain)})", icon=":material/info:"):
            st.caption("  \n".join(plain))
    elif plain:
        st.caption("  \n".join(plain))


def figures(audit: Any) -> None:
    """The counts, each with a sentence on what it means."""
    cells = [("Rows read", words.count(audit.rows_read), "rows read"), ("Rows used", words.count(audit.rows_used), "rows used")]
    if audit.users is not None:
        cells.append(("Users", words.count(audit.users), "users"))
    if audit.items is not None:
        cells.append(("Items", words.count(audit.items), "items"))
    if audit.density is not None:
        cells.append(("Filled", words.percent(audit.density), "filled"))
    if audit.first is not None and audit.last is not None and audit.time != "order":
        cells += [("From", words.day(audit.first), "from"), ("To", words.day(audit.last), "to")]
    cells.append(("Models predict", OUTPUTS.get(audit.output, audit.output), "output"))
    grid = st.grid(min_column_width=140, gap="small")
    for label, value, key in cells:
        grid.metric(label, value, help=TOLD[key])


def rows_apart(audit: Any, aside: Callable[[], pd.DataFrame], key: str, policy: str | None = None) -> None:
    """Rows read = rows used + rows set aside, why, and those rows to look at and to take away.

    Args:
        aside: row, reason, raw of rows set aside; read when it is called.
        policy: what happens to duplicates.
    """
    st.markdown("**Where the rows went**", help=TOLD["apart"])
    parts = dataset_charts.rows_apart(audit)
    told = " + ".join(f"{words.count(n)} {name}" for name, n, _, _ in parts)
    charts.show(dataset_charts.reconciliation(audit), f"{words.count(audit.rows_read)} rows read = {told}", key=f"{key}.apart")
    grid = st.grid(2, min_column_width=420, gap="medium")
    with grid.cell():
        rows = [(color, name, words.count(n), words.percent(n / max(audit.rows_read, 1))) for name, n, color, _ in parts]
        tables.show(tables.keyed_table(rows, (f"{words.count(audit.rows_read)} rows read", "rows", "share"), "Where the rows went"))
        _pairs(audit, policy)
    with grid.cell():
        if audit.rows_used < audit.rows_read:
            _aside(audit.rows_read - audit.rows_used, aside, key)
        else:
            st.caption("No row is set aside.")


def _pairs(audit: Any, policy: str | None) -> None:
    """Duplicates, conflicts and the policy in force."""
    grid = st.grid(min_column_width=120, gap="small")
    grid.metric("Exact copies", words.count(audit.exact_copies), help=TOLD["copies"])
    if audit.users is not None and audit.items is not None:
        grid.metric("Repeated pairs", words.count(audit.repeated_pairs), help=TOLD["repeated"])
        grid.metric("Conflicting", words.count(audit.conflicting_pairs), help=TOLD["conflicting"])
    if policy:
        st.caption(f"Duplicates: {words.md(_policy(policy), 300)}")


def _aside(total: int, aside: Callable[[], pd.DataFrame], key: str) -> None:
    with st.expander(
        f"Look at the rows set aside ({words.count(total)})", icon=":material/rule:", key=f"{key}.aside", on_change="rerun"
    ) as box:
        if not box.open:
            return
        frame = aside()
        st.dataframe(
            frame.head(SHOWN_ASIDE).assign(raw=frame["raw"].head(SHOWN_ASIDE).map(lambda text: words.plain(text, 500), na_action="ignore")),
            hide_index=True,
            height=230,
            placeholder=words.DASH,
            column_config={
                "row": st.column_config.NumberColumn("Row", format="localized", help="Counted from 1, in the order of the source"),
                "reason": st.column_config.TextColumn("Why it is set aside", width="medium"),
                "raw": st.column_config.TextColumn("The row as it stood", width="large"),
            },
            alt="Rows that were set aside, with the reason",
        )
        first = (
            f"The first {words.count(len(frame))} of {words.count(total)} rows" if len(frame) < total else f"All {words.count(total)} rows"
        )
        st.caption(f"{first}. In the file a cell that a spreadsheet would run as a formula begins with an apostrophe.")
        st.download_button(
            "Download them as CSV",
            data=lambda: engine.report.csv_safe(frame.head(MOST_ASIDE)),
            file_name="set-aside.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key=f"{key}.download",
        )


def shapes(audit: Any, key: str) -> None:
    """The long tail, how active users are, how popular items are, and the label over time."""
    drawn: list[tuple[str, str, Any, str]] = []
    if len(audit.long_tail) > 1:
        top = float(np.interp(0.2, *np.array(audit.long_tail).T))
        told = f"The most popular 20 % of items have {words.percent(top)} of the interactions"
        drawn.append(("Popularity, long tail", "tail", dataset_charts.long_tail(audit.long_tail), told))
    if audit.activity:
        told = _doublings(audit.activity, "users")
        drawn.append(("Interactions per user", "activity", dataset_charts.doublings(audit.activity, "user"), told))
    if audit.popularity:
        told = _doublings(audit.popularity, "items")
        drawn.append(("Interactions per item", "popularity", dataset_charts.doublings(audit.popularity, "item"), told))
    if len(audit.label_over_time) > 1 and any(share < 1 for _, _, share in audit.label_over_time):
        figure = dataset_charts.label_over_time(audit.label_over_time, audit.time == "order")
        shares = [share for _, _, share in audit.label_over_time]
        told = f"Between {words.percent(min(shares))} and {words.percent(max(shares))} of rows are liked"
        drawn.append(("Label over time", "over time", figure, told))
    if not drawn:
        return
    grid = st.grid(3 if len(drawn) == 3 else 2, min_column_width=330, gap="medium")
    for title, name, figure, told in drawn:
        with grid.cell():
            st.markdown(f"**{title}**", help=TOLD[name])
            charts.show(figure, told, key=f"{key}.{name}")
            st.caption(f"{told}.")


def _doublings(bins: list[tuple[int, int]], who: str) -> str:
    few = sum(many for n, many in bins if n < 4)
    if not few:
        return f"All {who} have four or more"
    return f"{words.percent(few / max(sum(many for _, many in bins), 1))} of {who} have fewer than four"


def times(audit: Any) -> str | None:
    """From when to when, and how the time was read; None without time."""
    if audit.first is None or audit.last is None or audit.time is None:
        return None
    if audit.time == "order":
        return f"Rows are ordered by a count from {words.count(audit.first)} to {words.count(audit.last)}; it is no date."
    names = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "iso": "dates and times"}
    how = names.get(audit.time, "seconds to nanoseconds, told apart value by value")
    return f"From {words.day(audit.first)} to {words.day(audit.last)} (UTC), read as {how}."


def _policy(chosen: str) -> str:
    """The policy in force with the half-sentence of the field's description that is about it."""
    told = engine.datasets.DatasetSpec.model_fields["duplicates"].description or ""
    found = next((part for part in told.split(";") if chosen in part.split(":")[0]), "")
    return f"{chosen} ({found.split(':', 1)[1].strip()})" if ":" in found else chosen


def show(audit: Any, aside: Callable[[], pd.DataFrame], key: str, policy: str | None = None) -> None:
    """The whole audit, pictures first.

    Args:
        aside: row, reason, raw of rows set aside; read when it is called.
        policy: what happens to duplicates: a value of `DatasetSpec.duplicates`.
    """
    if audit.truncated:
        st.info(
            f"Only the first {words.count(audit.rows_read)} rows were read for this look; preparing audits all of them.",
            icon=":material/content_cut:",
        )
    findings(audit)
    rows_apart(audit, aside, key, policy)
    shapes(audit, key)
    if told := times(audit):
        st.caption(told)
