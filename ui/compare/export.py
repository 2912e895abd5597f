"""Taking a comparison away: a popover with a button a kind of file. A file is made when its button is pressed."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

import engine


def offer(comparison: Any, said: Sequence[str]) -> None:
    """Every kind of export.

    Args:
        said: the verdict as the page shows it, in Markdown.
    """
    with st.popover("Export", icon=":material/download:"):
        for kind, found in engine.report.EXPORTS.items():
            st.download_button(
                found.label,
                partial(engine.report.export, comparison, kind, [unmarked(sentence) for sentence in said]),
                file_name=engine.report.export_name(comparison, kind),
                mime=found.mime,
                key=f"compare.export.{kind}",
                on_click="ignore",
                width="stretch",
            )
        st.caption("Or on the command line, for instance")
        letters = " ".join(run_id for c in comparison.contenders for run_id in c.run_ids or ())
        st.code(f"recbench compare {letters} --export comparison.html", language=None, wrap_lines=True)


def unmarked(sentence: str) -> str:
    """What Markdown of ours says: without emphasis, its escapes undone."""
    return re.sub(r"\\(.)", r"\1", sentence.replace("**", "").replace("\u2060", ""))
