"""The contenders of a launch: one card each with its settings, and buttons to add more, grouped by stage."""

import uuid
from typing import Any

import streamlit as st

import engine
from engine.datasets import Dataset
from engine.specs import ModelSpec
from ui.shared import address, words
from ui.train import card
from ui.train.card import Entry, refusal, untouched

FIRST = ("two_tower", "dlrm")  # the contenders that a new form starts with; the others have a button
MOST = 10


def _fitting(dataset: Dataset) -> list[str]:
    """The models that a dataset accepts with their defaults, retrieval first; all models when it accepts none."""
    kinds = sorted(engine.specs.MODELS, key=lambda kind: engine.specs.MODELS[kind].stage != "retrieval")
    return [kind for kind in kinds if refusal(untouched(kind), dataset) is None] or kinds


def contenders(starts: list[dict[str, Any]], dataset: Dataset) -> list[Entry | None]:
    """One form per contender; None for one whose settings are wrong or which the dataset refuses.

    They start with those given, else with those in the address, else with those of FIRST that fit. They start anew with a dataset that
    refuses other models.

    Args:
        starts: `model`, `train` and `search` of each contender to start with; may be empty.
    """
    fitting = _fitting(dataset)
    chosen = _chosen(starts, fitting)
    for kind in FIRST:
        if kind not in fitting and kind not in [k for _, k in chosen] and (why := refusal(untouched(kind), dataset)):
            st.caption(f":material/block: {words.md(engine.specs.MODELS[kind].label)} is left out: {words.md(why, 400)}")
    entries = []
    grid = st.grid(2, min_column_width=420, border=True)
    given = st.session_state["train.given"]
    for at, (uid, kind) in enumerate(chosen):
        with grid.cell():
            entries.append(_contender(at, uid, kind, given.get(uid, {}), len(chosen) > 1, dataset))
    _offers(full=len(chosen) >= MOST)
    address.remember(None, "models", [kind for _, kind in chosen] if not starts else None)
    return entries


def _chosen(starts: list[dict[str, Any]], fitting: list[str]) -> list[tuple[str, str]]:
    """The contenders of this tab, (key, kind) each: as before, or anew where the address, a preset or the dataset requires others."""
    before = st.session_state.get("train.fitting", fitting)
    requested = [kind for kind in address.values("models") if kind in engine.specs.MODELS] if before == fitting else []
    usual = requested or [kind for kind in fitting if kind in FIRST] or fitting[:1]
    known = [start for start in starts if start.get("model", {}).get("kind") in engine.specs.MODELS]
    wanted = known or [{"model": {"kind": kind}} for kind in usual]
    origin = st.session_state.get("train.wanted", "new")
    st.session_state["train.fitting"] = fitting
    if st.session_state.get("train.origin") != origin or before != fitting or "train.contenders" not in st.session_state:
        fresh = [(uuid.uuid4().hex[:8], start) for start in wanted[:MOST]]
        st.session_state["train.origin"] = origin
        st.session_state["train.contenders"] = [(uid, start["model"]["kind"]) for uid, start in fresh]
        st.session_state["train.given"] = dict(fresh)
    return list(st.session_state["train.contenders"])


def _group(model: type[ModelSpec]) -> str:
    """The group that offers a model."""
    if issubclass(model, engine.specs.MatrixSpec):
        return "Baselines, without epochs"
    return "Retrieval" if model.stage == "retrieval" else "Ranking"


def _offers(full: bool) -> None:
    """One button per model, in three groups."""
    groups: dict[str, dict[str, type[ModelSpec]]] = {"Retrieval": {}, "Ranking": {}, "Baselines, without epochs": {}}
    for kind, model in engine.specs.MODELS.items():
        groups[_group(model)][kind] = model
    for name, models in groups.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(name, width=160)
            for kind, model in models.items():
                summary = (model.__doc__ or "").split("\n")[0]
                st.button(f"Add {model.label}", key=f"train.add.{kind}", on_click=_add, args=(kind,), disabled=full, help=summary)
    if full:
        st.caption(f"At most {MOST} contenders per launch. Remove one to add another.")


def _add(kind: str) -> None:
    if len(st.session_state["train.contenders"]) < MOST:
        st.session_state["train.contenders"] = [*st.session_state["train.contenders"], (uuid.uuid4().hex[:8], kind)]


def _remove(uid: str) -> None:
    st.session_state["train.contenders"] = [c for c in st.session_state["train.contenders"] if c[0] != uid]


def _contender(at: int, uid: str, kind: str, given: dict[str, Any], removable: bool, dataset: Dataset) -> Entry | None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        card.head(at, engine.specs.MODELS[kind])
        if removable:
            st.button("Remove", icon=":material/close:", type="tertiary", key=f"train.remove.{uid}", on_click=_remove, args=(uid,))
    return card.fields(uid, kind, given, dataset)
