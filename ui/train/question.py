"""What a list should hold: the target that runs are judged by, on validation and on test."""

import streamlit as st

import engine
from engine.datasets import Dataset
from engine.specs import Protocol
from ui.shared import forms

LABEL = "What should a list hold?"
SHOWN = {"later": "All later likes", "next": "The next item", "last": "The last item"}
HELP = (
    "Validation picks epochs and settings by it, and test measures it. *All later likes* of a user; *the next item*, the first of them; "
    "or *the last item*. Compare measures finished runs by another target from their stored lists."
)


def ask(start: Protocol, dataset: Dataset) -> Protocol:
    """The protocol of a launch: the one to start from, with the target that is chosen. Datasets without times have no choice."""
    possible = engine.datasets.targets(dataset)
    if len(possible) < 2:
        return start.model_copy(update={"target": possible[0]})
    usual = start.target if start.target in possible else possible[0]
    target = st.segmented_control(
        LABEL, possible, default=usual, format_func=SHOWN.__getitem__, required=True, help=HELP, persist_state=forms.KEPT,
        key=f"train.target.{st.session_state.get('train.wanted', 'new')}.{dataset.id}",
    )  # fmt: skip
    return start.model_copy(update={"target": target})
