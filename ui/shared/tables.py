"""HTML tables for comparisons: numbers aligned, intervals small, the best marked by weight and sign."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from engine import compare
from engine.compare import Contender
from ui.shared import words


def letter(contender: Contender) -> str:
    """A contender's letter with its glyph in its colour; a baseline's name."""
    drawn = compare.look(contender.color_index, baseline=contender.run_id is None)
    text = contender.letter if contender.run_id is not None else contender.name
    return f'<span style="color:{drawn.color}" aria-hidden="true">{drawn.glyph}</span> {words.html(text, 20)}'


def row(name: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row" class="text">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def small_table(frame: pd.DataFrame, head: str = "", left: bool = False, tooltips: Mapping[str, str] | None = None) -> str:
    """HTML of a small table of ready text. The index names the rows; `left` aligns text instead of numbers.

    Args:
        tooltips: column or row name -> what its figures mean.
    """
    columns = "".join(f'<th scope="col">{_explained(str(name), (tooltips or {}).get(str(name)))}</th>' for name in frame.columns)
    rows = [
        f'<tr><th scope="row" class="text">{_explained(str(name), (tooltips or {}).get(str(name)))}</th>'
        f"{''.join(f'<td>{words.html(v)}</td>' for v in row)}</tr>"
        for name, row in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    corner = f'<th class="text">{words.html(head)}</th>' if head else "<td></td>"  # a heading without words is none
    top = f"<thead><tr>{corner}{columns}</tr></thead>" if any(frame.columns) else ""
    return table(top, rows, head or "Facts", "facts left" if left else "facts")


def _explained(name: str, tooltip: str | None) -> str:
    return words.html(name) if tooltip is None else f'<abbr title="{words.html(tooltip, 300)}">{words.html(name)}</abbr>'


def keyed_table(rows: list[tuple[str, str, str, str]], head: tuple[str, str, str], caption: str) -> str:
    """HTML of the legend of a stacked bar: for each part its colour, name, rows and share.

    Args:
        rows: colour (ours), name, rows, share; the last three ready text.
    """
    first, *rest = head
    top = f'<thead><tr><th class="text">{words.html(first)}</th>{"".join(f"<th>{words.html(name)}</th>" for name in rest)}</tr></thead>'
    body = [
        f'<tr><th scope="row" class="text wrap"><span style="color:{color}" aria-hidden="true">■</span> {words.html(name)}</th>'
        f"<td>{words.html(number)}</td><td>{words.html(share)}</td></tr>"
        for color, name, number, share in rows
    ]
    return table(top, body, caption, "facts")


def table(head: str, rows: list[str], caption: str, look: str = "wide") -> str:
    body = f"{head}<tbody>{''.join(rows)}</tbody>"
    return scrolling(f'<table class="{look}" aria-label="{words.html(caption)}">{body}</table>', caption)


def scrolling(inner: str, caption: str) -> str:
    """HTML of a table in a box that scrolls sideways where the page is narrow, by keyboard too."""
    return f'<div class="rb rb-scroll" role="group" aria-label="{words.html(caption)}" tabindex="0">{inner}</div>'


def show(html: str) -> None:
    """Draw a table made here; everything foreign in it is escaped."""
    st.html(html)
