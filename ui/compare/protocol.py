"""The evaluation protocol of the contenders in one sentence, with all settings in a tooltip."""

import streamlit as st

import engine
from engine.compare import Comparison, protocol_sentence, protocol_settings
from engine.specs import Protocol
from ui.shared import words


def show(comparison: Comparison) -> None:
    """The caption under the verdict; none where nothing was ranked, or where the runs are gone."""
    try:
        measured = engine.compare.protocol_of(engine.runs.get_run(next(c.run_id for c in comparison.contenders if c.run_id)))
        items = engine.datasets.get_dataset(comparison.dataset).counts.get("train_items")
    except LookupError:
        return
    st.caption(protocol_sentence(measured, items, comparison.users), help=whole(measured))


def whole(measured: Protocol) -> str:
    """Markdown: every setting with its value and what it means."""
    return "\n".join(f"- **{name.capitalize()}: {words.md(value, 40)}.** {meaning}" for name, value, meaning in protocol_settings(measured))
