"""The tables of runs: tick several to act on them, click a cell to open one; the address records the one that is open."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from ui.shared import address, words

ROW, MOST_ROWS = 35, 40  # pixels of a row; rows that are in sight without scrolling inside a table


class Rows(NamedTuple):
    """A table: its heading, empty for none, its rows, and the id of each."""

    heading: str
    frame: pd.DataFrame
    ids: list[str]


class Chosen(NamedTuple):
    """What is chosen in one table."""

    ticked: list[str]
    clicked: str | None  # the row of the cell that was clicked last


def pick_rows(tables: Sequence[Rows], key: str, param: str, columns: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """Draw the tables, with a heading each where they have one.

    Returns:
        The ids that are ticked, and the one that is open: whose cell was clicked last, else the only one that is ticked.
    """
    requested, before = address.value(param), st.session_state.get(f"{key}.before", {"ticked": [], "clicked": {}})
    known = {one for rows in tables for one in rows.ids}
    linked = f"{key}.before" not in st.session_state or st.session_state[f"address.{key}"] != (
        requested or ""
    )  # a link or Back outranks the widgets
    turn = st.session_state.get(f"turn.{key}", 0) + linked
    st.session_state[f"turn.{key}"] = turn
    ticked_before = [requested or ""] if linked else before["ticked"]
    clicked_before: dict[str, str | None] = {} if linked else before["clicked"]
    drawn = {rows.heading: _draw(rows, f"{key}.{turn}", columns, ticked_before) for rows in tables}
    ticked = [one for chosen in drawn.values() for one in chosen.ticked]
    opened = requested if requested in known else None
    if ticked != [one for one in ticked_before if one in known]:
        opened = ticked[0] if len(ticked) == 1 else None
    clicks = [chosen.clicked for name, chosen in drawn.items() if chosen.clicked and chosen.clicked != clicked_before.get(name)]
    opened = clicks[0] if clicks else opened
    st.session_state[f"{key}.before"] = {"ticked": ticked, "clicked": {name: chosen.clicked for name, chosen in drawn.items()}}
    st.session_state[f"address.{key}"] = opened or ""
    if opened or requested in known:
        address.remember(None, param, opened)
    return ticked, opened


def _draw(rows: Rows, key: str, columns: Mapping[str, Any], ticked: Sequence[str]) -> Chosen:
    digest = hashlib.md5(",".join([rows.heading, *rows.ids]).encode(), usedforsecurity=False).hexdigest()[:8]
    if rows.heading:
        st.markdown(f"**{words.md(rows.heading, 80)}** · {words.count(len(rows.ids))}")
    start: Any = {"selection": {"rows": [at for at, one in enumerate(rows.ids) if one in ticked]}}
    event: Any = st.dataframe(
        rows.frame,
        key=f"{key}.{digest}",
        hide_index=True,
        height="content" if len(rows.ids) <= MOST_ROWS else ROW * (MOST_ROWS + 1),
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"],
        selection_default=start,
        column_config=dict(columns),
        placeholder=words.DASH,
        alt=f"Runs, newest first{': ' if rows.heading else ''}{words.plain(rows.heading, 80)}",
    )
    chosen = event["selection"]
    cells = [cell[0] for cell in chosen["cells"] if cell[0] < len(rows.ids)]
    return Chosen([rows.ids[at] for at in sorted(chosen["rows"]) if at < len(rows.ids)], rows.ids[cells[0]] if cells else None)
