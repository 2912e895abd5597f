"""An audit as a page part: counts, findings, rows set aside and distributions, before preparing and after."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

import engine
from engine.datasets import Audit
from ui.data import dataset_charts
from ui.data import times as units
from ui.shared import charts, tables, words

SHOWN_ASIDE, MOST_ASIDE = 200, 200_000
MOST_NOTES = 3  # shown open; more are folded
OUTPUTS = {"binary": "liked or not", "regression": "the value", "multi_class": "the class", "actions": "each action"}
TOOLTIPS = {
    "rows read": "Rows read from the source; each is either used or set aside.",
    "rows used": "Rows used for training, validation or test.",
    "users": "Different user ids in the rows used.",
    "items": "Different item ids in the rows used.",
    "filled": "Share of all user-item pairs that have a row; a sparse dataset is harder to rank.",
    "copies": "Rows identical to another row.",
    "repeated": "User-item pairs that occur in several rows.",
    "conflicting": "Repeated pairs with different labels.",
    "from": "The earliest moment of the rows used, in UTC.",
    "to": "The latest moment of the rows used, in UTC.",
    "output": "What models learn to predict on this data.",
    "apart": "Every row read appears once in this bar: used, or set aside for one reason.",
    "tail": "Share of interactions that the most popular items have. The further above the dotted line, the stronger a "
    "popularity baseline is.",
    "activity": "Distribution of interactions per user. Models learn little about users with few interactions.",
    "popularity": "Distribution of interactions per item. Items with few interactions are hard to rank.",
    "order": "Pairs of items in sequence are learnt from one half of the users and looked for in the other, in its likes as they are and "
    "with the likes of each user shuffled (after Klenitskiy et al., RecSys 2024). Only likes of train count; likes of one moment make no "
    "pair.",
    "over time": "Share of liked rows over time; a drift means that the test split differs from training.",
}


def findings(audit: Audit) -> None:
    """Findings that block, then warnings, then notes."""
    for level, box, icon in (("block", st.error, ":material/block:"), ("warn", st.warning, ":material/warning:")):
        for finding in audit.findings:
            if finding.level == level:
                box(words.md(finding.text, 600), icon=icon)
    plain = [f":material/info: {words.md(finding.text, 600)}" for finding in audit.findings if finding.level == "info"]
    if len(plain) > MOST_NOTES:
        with st.expander(f"How the data was read ({len(plain)})", icon=":material/info:"):
            st.caption("  \n".join(plain))
    elif plain:
        st.caption("  \n".join(plain))


def figures(audit: Audit) -> None:
    """The counts, each with a tooltip."""
    cells = [("Rows read", words.count(audit.rows_read), "rows read"), ("Rows used", words.count(audit.rows_used), "rows used")]
    if audit.users is not None:
        cells.append(("Users", words.count(audit.users), "users"))
    if audit.items is not None:
        cells.append(("Items", words.count(audit.items), "items"))
    if audit.density is not None:
        cells.append(("Density", words.percent(audit.density), "filled"))
    if audit.first is not None and audit.last is not None and audit.time != "order":
        cells += [("From", words.day(audit.first), "from"), ("To", words.day(audit.last), "to")]
    cells.append(("Models predict", OUTPUTS.get(audit.output, audit.output), "output"))
    grid = st.grid(min_column_width=140, gap="small")
    for label, value, key in cells:
        grid.metric(label, value, help=TOOLTIPS[key])


def rows_apart(audit: Audit, aside: Callable[[], pd.DataFrame], key: str, policy: str | None = None) -> None:
    """Rows read = rows used + rows set aside by reason, and the rows set aside to view and download.

    Args:
        aside: row, reason, raw of rows set aside; read when it is called.
        policy: what happens to duplicates.
    """
    st.markdown("**Where the rows went**", help=TOOLTIPS["apart"])
    parts = dataset_charts.rows_apart(audit)
    sum_in_words = " + ".join(f"{words.count(n)} {name}" for name, n, _, _ in parts)
    charts.show(dataset_charts.reconciliation(audit), f"{words.count(audit.rows_read)} rows read = {sum_in_words}", key=f"{key}.apart")
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


def _pairs(audit: Audit, policy: str | None) -> None:
    """Duplicates, conflicts and the policy in force."""
    grid = st.grid(min_column_width=120, gap="small")
    grid.metric("Exact copies", words.count(audit.exact_copies), help=TOOLTIPS["copies"])
    if audit.users is not None and audit.items is not None:
        grid.metric("Repeated pairs", words.count(audit.repeated_pairs), help=TOOLTIPS["repeated"])
        grid.metric("Conflicting", words.count(audit.conflicting_pairs), help=TOOLTIPS["conflicting"])
    if policy:
        st.caption(f"Duplicates: {words.md(_policy(policy), 300)}")


def _aside(total: int, aside: Callable[[], pd.DataFrame], key: str) -> None:
    with st.expander(
        f"View the rows set aside ({words.count(total)})", icon=":material/rule:", key=f"{key}.aside", on_change="rerun"
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
                "reason": st.column_config.TextColumn("Reason", width="medium"),
                "raw": st.column_config.TextColumn("Raw row", width="large"),
            },
            alt="Rows that were set aside, with the reason",
        )
        first = (
            f"The first {words.count(len(frame))} of {words.count(total)} rows" if len(frame) < total else f"All {words.count(total)} rows"
        )
        st.caption(f"{first}. In the CSV, cells that a spreadsheet would run as a formula start with an apostrophe.")
        st.download_button(
            "Download them as CSV",
            data=lambda: engine.report.csv_safe(frame.head(MOST_ASIDE)),
            file_name="set-aside.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key=f"{key}.download",
        )


def shapes(audit: Audit, key: str) -> None:
    """The long tail, how active users are, how popular items are, and the label over time."""
    drawn: list[tuple[str, str, go.Figure, str]] = []
    if len(audit.long_tail) > 1:
        top = float(np.interp(0.2, *np.array(audit.long_tail).T))
        summary = f"The most popular 20 % of items have {words.percent(top)} of the interactions"
        drawn.append(("Popularity, long tail", "tail", dataset_charts.long_tail(audit.long_tail), summary))
    if audit.activity:
        summary = _doublings(audit.activity, "users")
        drawn.append(("Interactions per user", "activity", dataset_charts.doublings(audit.activity, "user"), summary))
    if audit.popularity:
        summary = _doublings(audit.popularity, "items")
        drawn.append(("Interactions per item", "popularity", dataset_charts.doublings(audit.popularity, "item"), summary))
    if len(audit.label_over_time) > 1 and any(share < 1 for _, _, share in audit.label_over_time):
        figure = dataset_charts.label_over_time(audit.label_over_time, audit.time == "order")
        shares = [share for _, _, share in audit.label_over_time]
        summary = f"Between {words.percent(min(shares))} and {words.percent(max(shares))} of rows are liked"
        drawn.append(("Label over time", "over time", figure, summary))
    if not drawn:
        return
    grid = st.grid(3 if len(drawn) == 3 else 2, min_column_width=330, gap="medium")
    for title, name, figure, summary in drawn:
        with grid.cell():
            st.markdown(f"**{title}**", help=TOOLTIPS[name])
            charts.show(figure, summary, key=f"{key}.{name}")
            st.caption(f"{summary}.")


def _doublings(bins: list[tuple[int, int]], who: str) -> str:
    few = sum(many for n, many in bins if n < 4)
    if not few:
        return f"All {who} have four or more interactions"
    return f"{words.percent(few / max(sum(many for _, many in bins), 1))} of {who} have fewer than four interactions"


def order(audit: Audit) -> None:
    """Whether the order of likes matters, in words; nothing where there are no users, items or times, or an older version audited."""
    if audit.order is not None:
        st.markdown("**Does order matter here?**", help=TOOLTIPS["order"])
        st.markdown(words.md(engine.preview.order_in_words(audit.order), 600))


def times(audit: Audit) -> str | None:
    """From when to when, and how the time was read; None without time."""
    if audit.first is None or audit.last is None or audit.time is None:
        return None
    if audit.time == "order":
        return f"The time column is a counter from {words.count(audit.first)} to {words.count(audit.last)}, not a date."
    how = units.unit_words(audit.time)
    return f"From {words.day(audit.first)} to {words.day(audit.last)} (UTC), read as {words.md(how)}."


def _policy(chosen: str) -> str:
    """The policy with the part of the field's description that explains it."""
    description = engine.datasets.DatasetSpec.model_fields["duplicates"].description or ""
    explanation = next((part for part in description.split(";") if chosen in part.split(":")[0]), "")
    return f"{chosen} ({explanation.split(':', 1)[1].strip()})" if ":" in explanation else chosen


def show(audit: Audit, aside: Callable[[], pd.DataFrame], key: str, policy: str | None = None) -> None:
    """The whole audit.

    Args:
        aside: row, reason, raw of rows set aside; read when it is called.
        policy: what happens to duplicates: a value of `DatasetSpec.duplicates`.
    """
    if audit.truncated:
        st.info(
            f"Only the first {words.count(audit.rows_read)} rows were read for this preview; the preparation audits all rows.",
            icon=":material/content_cut:",
        )
    findings(audit)
    rows_apart(audit, aside, key, policy)
    shapes(audit, key)
    order(audit)
    if period := times(audit):
        st.caption(period)
