"""What contenders were measured under, in one sentence; the whole of it in a tooltip."""

import streamlit as st

import engine
from engine.compare import Comparison
from engine.specs import Protocol
from ui.shared import words

SAID = {
    "candidates": "what is ranked",
    "exclude_seen": "items met in train left out",
    "list_length": "items kept of each list",
    "tie_seed": "seed of the order of ties",
}  # settings of a protocol as people say them


def setting(name: str) -> str:
    """A setting of a protocol as people say it."""
    return SAID.get(name, name.replace("_", " "))


def show(comparison: Comparison) -> None:
    """The caption under the verdict; nothing where nothing was ranked, or where the runs are gone."""
    try:
        measured = engine.compare.protocol_of(engine.runs.get_run(next(c.run_id for c in comparison.contenders if c.run_id)))
        items = engine.datasets.get_dataset(comparison.dataset).counts.get("train_items")
    except LookupError:
        return
    st.caption(sentence(measured, items, comparison.users), help=whole(measured))


def sentence(measured: Protocol, items: int | None, users: int) -> str:
    """How lists were measured; `items`: of the catalogue, None where they were not counted."""
    catalogue = "the full catalogue" if items is None else f"the full catalogue of {words.count(items)} items"
    seen = "without the items that a user met in train" if measured.exclude_seen else "those that a user met in train included"
    people = f"{words.count(users)} test user{'' if users == 1 else 's'}"
    order = f"equal scores stand in one random order for all (seed {measured.tie_seed})"
    return f"Measured on lists out of {catalogue}, {seen}, for {people}; {order}."


def whole(measured: Protocol) -> str:
    """Markdown: every setting with its value and what it means."""
    lines = []
    for name, field in type(measured).model_fields.items():
        value = getattr(measured, name)
        told = ("yes" if value else "no") if isinstance(value, bool) else str(value)
        lines.append(f"- **{setting(name).capitalize()}: {words.md(told, 40)}.** {field.description}.")
    return "\n".join(lines)
