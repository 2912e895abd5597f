"""The unit of the times of a table: chosen, or typed as a pattern."""

from datetime import datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.tables import ColumnGuess
from ui.shared import forms, words

UNITS = {
    "s": "seconds since 1970", "ms": "milliseconds since 1970", "us": "microseconds since 1970", "ns": "nanoseconds since 1970",
    "iso": "dates, year first (2024-01-31 18:00)", "day/month/year": "dates, day first (31.01.2024 18:00)",
    "month/day/year": "dates, month first (1/31/2024 6:00 PM)", "words": "dates with the month in words (31 Jan 2024 18:00)",
    "days": "days since 1970", "excel": "days, as Excel counts them", "magnitude": "mixed units, detected per value",
    "order": "a counter that only orders rows",
}  # fmt: skip


def unit(key: str, column: ColumnGuess, warned: DeltaGenerator, questions: list[str]) -> str | None:
    """The unit of the times of a column, or a pattern; a question where the values leave it open, and then None until it is answered."""
    open_ = column.ambiguous is not None or column.time_unit is None
    text = ""
    if open_:
        text = column.ambiguous or f"What unit do the times in {column.name} have?"
    likely = [unit for unit in (column.time_unit, *column.units) if unit]
    units = list(dict.fromkeys([*likely, *UNITS]))
    chosen: str | None = st.selectbox(
        "Unit of the times" + (" · please choose" if open_ else ""),
        units,
        None if open_ or column.time_unit is None else units.index(column.time_unit),
        format_func=unit_words,
        key=key,
        placeholder="choose, or type a pattern",
        accept_new_options=True,
        help="Or type a pattern: %d day, %m month, %Y year, %y its last two digits, %H hour, %I %p hour with AM or PM, %M minute, "
        "%S second, %b Jan, %B January, as in %d.%m.%Y %H:%M",
        persist_state=forms.KEPT,
    )
    if text and chosen:
        warned.caption(f":material/help: {words.md(text, 400)}")
    if chosen is None:
        warned.warning(words.md(text, 400), icon=":material/help:")
        questions.append(f"Choose the unit of the times in {words.plain(column.name, 40)}.")
    return chosen


def of_lines(key: str) -> str | None:
    """The order of rows as their time, where no column is the time; None when it says nothing."""
    tooltip = "Turn it on where the file lists what each user did, one after the other, without times: rows can then be split by time."
    return "lines" if st.toggle("Rows are in order of time", key=key, help=tooltip, persist_state=forms.KEPT) else None


def unit_words(unit: str) -> str:
    """The unit of times in words; a pattern with the last day of 2024, as it would write it."""
    if "%" not in unit:
        return UNITS.get(unit, words.plain(unit, 60))
    return words.plain(f"{unit} ({datetime(2024, 12, 31, 18):{unit}})", 100)
