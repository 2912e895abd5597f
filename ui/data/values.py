"""How the cells of a table are read: numbers with commas, and values that mean missing. Asked where the values leave it open."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import engine
from engine.tables import ColumnGuess, TableGuess
from ui.shared import forms, words

NUMBERS = {"plain": "1234.5", "decimal_comma": "1.234,5 (decimal comma)", "thousands": "1,234.5 (thousands)"}
IDS = ("user", "item")
Mapped = dict[str, Any]


def choose(key: str, guess: TableGuess, columns: list[Mapped], questions: list[str]) -> list[Mapped]:
    """The columns as they are mapped, with how their numbers are written and what means missing; open questions are added."""
    columns = [dict(mapped) for mapped in columns]
    used = [(column, mapped) for column, mapped in zip(guess.columns, columns, strict=True) if mapped["role"] != "ignore"]
    warned, grid = st.container(), st.grid(3, min_column_width=230, gap="small", vertical_alignment="bottom")
    for column, mapped in used:
        if mapped["role"] in engine.tables.NUMERIC and column.numbers != "plain":
            with grid.cell():
                mapped["numbers"] = _numbers(f"{key}.numbers.{column.name}", column, warned, questions)
        if mapped["role"] == "item" and column.listed != "one":
            with grid.cell():
                mapped["listed"] = _listed(f"{key}.listed.{column.name}", column)
        if mapped["role"] in IDS and column.absent_open:
            with grid.cell():
                mapped["missing"] = _id(f"{key}.id.{column.name}", column, warned, questions)
    _missing(f"{key}.missing", used)
    return columns


def _numbers(key: str, column: ColumnGuess, warned: DeltaGenerator, questions: list[str]) -> str:
    open_ = column.numbers_open
    options = list(NUMBERS)
    chosen = st.selectbox(
        f"Numbers in {words.md(column.name, 40)}" + (" · please choose" if open_ else ""),
        options,
        None if open_ else options.index(column.numbers),
        format_func=NUMBERS.__getitem__,
        key=key,
        placeholder="choose",
        help="How the file writes them. Values that do not fit are read as they are, and set aside or missing where they are no numbers.",
        persist_state=forms.KEPT,
    )
    if chosen is None:
        warned.warning(words.md(open_, 400), icon=":material/help:")
        questions.append(f"Choose how the numbers in {words.plain(column.name, 40)} are written.")
    return chosen or column.numbers


def _listed(key: str, column: ColumnGuess) -> str:
    of = "item-label" if column.listed == "pairs" else "items"
    label = f"One row for each item in {words.md(column.name, 40)}"
    tooltip = f"Its cells hold lists of {of}, such as {words.plain(column.examples[0] if column.examples else '', 60)}"
    return column.listed if st.toggle(label, value=True, key=key, help=tooltip, persist_state=forms.KEPT) else "one"


def _id(key: str, column: ColumnGuess, warned: DeltaGenerator, questions: list[str]) -> list[str]:
    """The values of an id that mean missing: asked, since one such id may be most of the rows."""
    values = [one.value for one in column.absent]
    shown = words.plain(" and ".join(values[:3]), 40)
    options = {"missing": f"{shown}: missing", "id": f"{shown}: an id"}
    chosen = st.selectbox(
        f"Missing in {words.md(column.name, 40)} · please choose",
        list(options),
        None,
        format_func=options.__getitem__,
        key=key,
        placeholder="choose",
        help="Rows without an id are set aside and counted",
        persist_state=forms.KEPT,
    )
    if chosen is None:
        warned.warning(words.md(column.absent_open, 500), icon=":material/help:")
        questions.append(f"Say whether {shown} in {words.plain(column.name, 40)} means missing.")
    return values if chosen == "missing" else []


def _missing(key: str, used: list[tuple[ColumnGuess, Mapped]]) -> None:
    """Values that mean missing, by column: offered where a column has such values, and for any other column on demand."""
    open_ = [(column, mapped) for column, mapped in used if "missing" not in mapped]
    offered = [column.name for column, _ in open_ if column.absent]
    label = "Values that mean missing" + (f" ({words.count(len(offered))} columns may have some)" if offered else "")
    with st.expander(label, icon=":material/block:", key=f"{key}.box"):
        st.caption("A row without an id, a label or a time is set aside and counted; a feature has no value there.")
        others = [column.name for column, _ in open_ if column.name not in offered]
        more = st.multiselect(
            "Other columns with such values", others, format_func=lambda name: words.plain(name, 60), key=f"{key}.more",
            placeholder="choose columns", persist_state=forms.KEPT,
        )  # fmt: skip
        grid = st.grid(3, min_column_width=230, gap="small", vertical_alignment="bottom")
        for column, mapped in open_:
            if column.name in [*offered, *more]:
                with grid.cell():
                    mapped["missing"] = _named(f"{key}.of.{column.name}", column)


def _named(key: str, column: ColumnGuess) -> list[str]:
    rows = {one.value: one.rows for one in column.absent}
    return st.multiselect(
        f"Missing in {words.md(column.name, 40)}",
        list(rows),
        format_func=lambda value: words.plain(
            f"{value} · {words.count(rows[value])} of {words.count(column.rows)} rows" if value in rows else value, 60
        ),
        key=key,
        placeholder="choose, or type a value",
        accept_new_options=True,
        persist_state=forms.KEPT,
    )
