"""The offer to read ids such as 12346.0 as 12346, where a table has some: data frames with gaps write whole numbers so."""

import re
from collections.abc import Iterable
from typing import Any

import streamlit as st

from engine.tables import TableGuess
from ui.shared import forms, words

WHOLE = re.compile(r"\s*-?\d+\.0+\s*")


def whole_ids(key: str, tables: Iterable[tuple[TableGuess | None, list[dict[str, Any]]]]) -> bool:
    """Whether ids are read as whole numbers; asked only where the first values of a user or an item id have such a point.

    Args:
        tables: the guess of each table, and its columns as they are mapped.
    """
    for guess, columns in tables:
        for column, mapped in zip(guess.columns if guess else (), columns, strict=False):
            written = next((text for text in column.examples if WHOLE.fullmatch(text)), None)
            if written is not None and mapped["role"] in ("user", "item"):
                whole = words.plain(written.strip().partition(".")[0], 40)
                text = f"Read ids such as {words.plain(written.strip(), 40)} as {whole}"
                tooltip = (
                    "Data frames with gaps write whole numbers with a point. Turn it on where another table writes the same ids without."
                )
                return st.toggle(text, key=f"{key}.whole_ids", help=tooltip, persist_state=forms.KEPT)
    return False
