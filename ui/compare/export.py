"""Exports of a comparison: a popover with a button for each kind of file. A file is made when its button is pressed."""

from functools import partial

import streamlit as st

import engine
from engine.compare import Comparison
from ui.compare import narrative, view


def offer(comparison: Comparison) -> None:
    """What is to stand above the report, and a button for every kind of export."""
    with st.popover("Export", icon=":material/download:"):
        narrative.area(comparison)
        for kind, found in engine.report.EXPORTS.items():
            st.download_button(
                found.label,
                partial(_file, comparison, kind, view.chosen()),
                file_name=engine.report.export_name(comparison, kind),
                mime=found.mime,
                key=f"compare.export.{kind}",
                on_click="ignore",
                width="stretch",
            )
        st.caption("Or on the command line, for instance")
        letters = " ".join(run_id for c in comparison.contenders for run_id in c.runs)
        st.code(f"recbench compare {letters} --export comparison.html", language=None, wrap_lines=True)


def _file(comparison: Comparison, kind: str, choices: dict[str, str]) -> bytes:
    """Made when the button is pressed, where there is no session to ask: hence what the session chose, as it then is."""
    return engine.report.export(comparison, kind, view.record(choices))
