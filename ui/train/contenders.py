"""The contenders of a launch: a card each with its settings, and buttons to add more, grouped by what models are for."""

import uuid
from typing import Any

import streamlit as st
from pydantic import BaseModel

import engine
from engine import compare
from ui.shared import address, forms, words

FIRST = ("two_tower", "dlrm")  # the contenders that a new form starts with; the others are a button away
MOST = 10
TRADES = {
    "objective": "Pointwise (the reference method) learns rating: good AUC on shown items, but over the catalogue it ranks worse than "
    "popularity; softmax with negatives from the catalogue learns choice, and its logits are then no probabilities.",
    "negatives": "With none it learns rating: the best AUC on shown items, but over the catalogue it ranks worse than popularity; "
    "negatives from the catalogue teach choice, and its logits are then no probabilities.",
}  # setting: what choosing it trades away
FITTED = "Fitted at once, in one process: the training settings below do not apply to it, and it is not repeated over seeds."


def refusal(model: Any, dataset: Any) -> str | None:
    """Why a model cannot be trained on a dataset; None when it can."""
    return model.refusal(dataset.schema, dataset.manifest.get("label", {}))  # type: ignore[no-any-return]


def _untouched(kind: str) -> BaseModel:
    """A model with its own defaults."""
    return engine.specs.MODELS[kind].model_validate({"kind": kind})


def _fitting(dataset: Any) -> list[str]:
    """The models that a dataset takes under their own defaults, retrieval first; all of them when it takes none."""
    kinds = sorted(engine.specs.MODELS, key=lambda kind: engine.specs.MODELS[kind].stage != "retrieval")
    return [kind for kind in kinds if refusal(_untouched(kind), dataset) is None] or kinds


def contenders(given: dict[str, Any], dataset: Any) -> list[BaseModel | None]:
    """A form a contender; None stands for one whose settings are wrong or which the dataset refuses.

    They start with what the address names, else with those of FIRST that fit; with another dataset that refuses others, anew.
    """
    start = given.get("model", {}).get("kind")
    fitting = _fitting(dataset)
    chosen = _chosen(start, fitting)
    for kind in FIRST:
        if kind not in fitting and kind not in [k for _, k in chosen] and (why := refusal(_untouched(kind), dataset)):
            st.caption(f":material/block: {words.md(engine.specs.MODELS[kind].label)} is left out: {words.md(why, 400)}")
    found = []
    grid = st.grid(2, min_column_width=420, border=True)
    for at, (uid, kind) in enumerate(chosen):
        with grid.cell():
            found.append(_contender(at, uid, kind, given.get("model", {}) if kind == start else {}, len(chosen) > 1, dataset))
    _offers(full=len(chosen) >= MOST)
    address.remember(None, "models", [kind for _, kind in chosen] if start is None else None)
    return found


def _chosen(start: str | None, fitting: list[str]) -> list[tuple[str, str]]:
    """The contenders of this tab, (key, kind) each: as they were, or anew where the address or the dataset asks for others."""
    before = st.session_state.get("train.fitting", fitting)
    asked = [kind for kind in address.values("models") if kind in engine.specs.MODELS] if before == fitting else []
    wanted = [start] if start in engine.specs.MODELS else asked or [kind for kind in fitting if kind in FIRST] or fitting[:1]
    origin = address.value("from") or "new"
    st.session_state["train.fitting"] = fitting
    if st.session_state.get("train.origin") != origin or before != fitting or "train.contenders" not in st.session_state:
        st.session_state["train.origin"] = origin
        st.session_state["train.contenders"] = [(uuid.uuid4().hex[:8], kind) for kind in wanted]
    return list(st.session_state["train.contenders"])


def _group(model: Any) -> str:
    """Where a model is offered."""
    if issubclass(model, engine.specs.MatrixSpec):
        return "Baselines, fitted at once"
    return "Retrieval" if model.stage == "retrieval" else "Ranking"


def _offers(full: bool) -> None:
    """A button a model, in three groups: beside each other where there is room, else below each other."""
    groups: dict[str, dict[str, Any]] = {"Retrieval": {}, "Ranking": {}, "Baselines, fitted at once": {}}
    for kind, model in engine.specs.MODELS.items():
        groups[_group(model)][kind] = model
    for name, models in groups.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(name, width=160)
            for kind, model in models.items():
                told = (model.__doc__ or "").split("\n")[0]
                st.button(f"Add {model.label}", key=f"train.add.{kind}", on_click=_add, args=(kind,), disabled=full, help=told)
    if full:
        st.caption(f"These are {MOST} contenders, which is the most for one launch. Remove one to add another.")


def _add(kind: str) -> None:
    if len(st.session_state["train.contenders"]) < MOST:
        st.session_state["train.contenders"] = [*st.session_state["train.contenders"], (uuid.uuid4().hex[:8], kind)]


def _remove(uid: str) -> None:
    st.session_state["train.contenders"] = [c for c in st.session_state["train.contenders"] if c[0] != uid]


def _contender(at: int, uid: str, kind: str, given: dict[str, Any], removable: bool, dataset: Any) -> BaseModel | None:
    model, drawn = engine.specs.MODELS[kind], compare.look(at)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        glyph = f'<span style="color:{drawn.color}">{drawn.glyph}</span>'
        st.html(f'<div class="rb"><b>{glyph} {chr(65 + at)} · {words.html(model.label)}</b></div>', width="content")
        if removable:
            st.button("Remove", icon=":material/close:", type="tertiary", key=f"train.remove.{uid}", on_click=_remove, args=(uid,))
    st.caption((model.__doc__ or "").split("\n")[0])
    for field, trade in TRADES.items():
        if field in model.model_fields and dataset.schema.can_rank:
            st.caption(trade)
    if issubclass(model, engine.specs.MatrixSpec):
        st.caption(f":material/bolt: {FITTED}")
    refused = st.container()
    raw = forms.inputs(model, f"train.{uid}", given, omit=_unasked(dataset))
    spec = forms.built(model, raw | {"kind": kind})
    why = refusal(spec, dataset) if spec is not None else None
    if why:
        refused.error(words.md(why, 600), icon=":material/block:", title="Not on this dataset")
    return None if why else spec


def _unasked(dataset: Any) -> tuple[str, ...]:
    """Settings that mean nothing on a dataset."""
    return () if engine.specs.Task.of(dataset.manifest.get("label", {})).output == "actions" else ("action_weights",)
