"""What a network is for, asked in words: to judge rows that are shown, or to choose from the catalogue."""

from typing import Any, get_args

import streamlit as st

from engine.specs import ModelSpec
from ui.shared import forms

JUDGE, CHOOSE = "Judge rows that are shown", "Choose from the catalogue"
FIELDS = {"negatives": ("none", "uniform"), "objective": ("pointwise", "softmax")}  # setting: its value for each purpose
NAMES = {"negatives": "Negatives drawn", "objective": "Loss"}
DRAWS = {"uniform": "all alike", "popularity": "by popularity", "softmax": "sampled softmax", "bpr": "BPR"}
TRADES = {
    JUDGE: "It learns to predict ratings: the best AUC on rated items, but it ranks the catalogue worse than popularity.",
    CHOOSE: "With negatives from the catalogue it learns choice: for lists of recommendations; its logits are not probabilities.",
}


def field_of(model: type[ModelSpec]) -> str | None:
    """The setting that the purpose decides; None for a model without a choice of it."""
    return next((name for name in FIELDS if name in model.model_fields), None)


def ask(model: type[ModelSpec], key: str, given: dict[str, Any], can_rank: bool) -> dict[str, Any]:
    """Ask for the purpose, and say what it trades; returns the setting that follows from it.

    Args:
        can_rank: whether the dataset has a catalogue of items for users; without one, rows are judged.
    """
    name = field_of(model)
    if name is None or not can_rank:
        return {name: given.get(name, FIELDS[name][0])} if name == "negatives" else {name: given[name]} if name and name in given else {}
    field = model.model_fields[name]
    judging, choosing = FIELDS[name]
    start = given.get(name, field.default)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        chosen = st.segmented_control(
            "Purpose", [JUDGE, CHOOSE], default=JUDGE if start == judging else CHOOSE, required=True, key=f"{key}.purpose",
            help=field.description, wrap=True, persist_state=forms.KEPT,
        )  # fmt: skip
    st.caption(TRADES[chosen or JUDGE])
    if chosen == JUDGE:
        return {name: judging}
    options = [value for value in get_args(field.annotation) if value != judging]
    if len(options) < 2:
        return {name: choosing}
    with right:
        drawn = st.selectbox(
            NAMES[name], options, index=options.index(start) if start in options else 0, key=f"{key}.{name}",
            format_func=lambda value: DRAWS.get(value, value), help=field.description, persist_state=forms.KEPT,
        )  # fmt: skip
    return {name: drawn or choosing}
