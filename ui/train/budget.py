"""Tune each contender with an equal budget: the switch, the budget, and the search that each one's runs then make."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

import engine
from engine.datasets import Dataset
from engine.specs import RunSpec, SearchSpec
from ui.shared import forms, words
from ui.train import space
from ui.train.card import Entry

LABEL = "Tune each, equal budget"
HELP = (
    "Each contender searches its settings on validation, within the same budget, and is measured on test once, with the best. "
    "Off: networks are trained with their settings as they are, and fitted models search those that are left empty, over 20 trials."
)
NOTHING = "Nothing to search: it is measured as it is."


def ask(starts: Sequence[dict[str, Any]]) -> SearchSpec | None:
    """The switch, and the budget that all contenders get; None where it is off, or the budget is wrong, which is said.

    Args:
        starts: what the contenders start from; the first search among them says whether the switch is on, and how it is set.
    """
    given = next((start["search"] for start in starts if start.get("search")), None)
    key = f"train.search.{st.session_state.get('train.wanted', 'new')}"
    if not st.toggle(LABEL, given is not None, key=f"{key}.on", help=HELP, persist_state=forms.KEPT):
        return None
    with st.container(border=True):
        return forms.built(SearchSpec, forms.inputs(SearchSpec, key, given, omit=("space",)))


def is_on() -> bool:
    """Whether the switch is on, budget right or wrong."""
    return bool(st.session_state.get(f"train.search.{st.session_state.get('train.wanted', 'new')}.on"))


def applied(
    contenders: Sequence[list[RunSpec]], entries: Sequence[Entry | None], budget: SearchSpec | None, dataset: Dataset
) -> list[list[RunSpec]]:
    """The runs of each contender with its search, whose space is drawn in its card; none where that is wrong.

    A contender that has nothing to search stays as it is.
    """
    if not is_on():
        return list(contenders)
    if budget is None:
        return [[] for _ in contenders]
    pairs = zip(contenders, entries, strict=True)
    return [_searching(runs, entry, budget, dataset) if runs and entry else [] for runs, entry in pairs]


def _searching(runs: list[RunSpec], entry: Entry, budget: SearchSpec, dataset: Dataset) -> list[RunSpec]:
    on_data = runs[0].resolved(dataset.schema)
    usual = engine.specs.usual_space(on_data.model)
    if not usual:
        entry.tried.caption(f":material/block: {NOTHING}")
        return runs
    try:
        tried = space.rows(entry.tried, entry.key, on_data, usual, space.kept(entry.given))
        fixed = [engine.specs.with_settings(run, tried.fixed) if tried.fixed else run for run in runs]
    except ValueError as error:
        text = engine.specs.explain(error) if isinstance(error, ValidationError) else error
        entry.tried.error(words.md(text, 600), icon=":material/edit_off:")
        return []
    if not tried.space:
        return fixed
    search = budget.model_copy(update={"space": None if tried.space == usual else tried.space})
    return [run.model_copy(update={"search": search}) for run in fixed]
