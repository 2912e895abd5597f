"""The contenders of a launch: one card each with its settings, and buttons to add more, grouped by stage."""

import uuid
from typing import Any

import streamlit as st

import engine
from engine import compare
from engine.datasets import Dataset
from engine.specs import ModelSpec
from ui.shared import address, forms, words

FIRST = ("two_tower", "dlrm")  # the contenders that a new form starts with; the others have a button
MOST = 10
TRADES = {
    "objective": "Pointwise (the reference method) learns to predict ratings: good AUC on rated items, but it ranks the catalogue worse "
    "than popularity. Softmax with negatives from the catalogue learns choice; its logits are not probabilities.",
    "negatives": "Without negatives it learns to predict ratings: the best AUC on rated items, but it ranks the catalogue worse than "
    "popularity. With negatives from the catalogue it learns choice; its logits are not probabilities.",
}  # setting: the trade-off of its values
FITTED = "Fitted in one process: the training settings below do not apply, and it is not repeated over seeds."


def refusal(model: ModelSpec, dataset: Dataset) -> str | None:
    """Why a model cannot be trained on a dataset; None when it can."""
    return model.refusal(dataset.schema, dataset.manifest.get("label", {}))


def _untouched(kind: str) -> ModelSpec:
    """A model with its default settings."""
    return engine.specs.MODELS[kind].model_validate({"kind": kind})


def _fitting(dataset: Dataset) -> list[str]:
    """The models that a dataset accepts with their defaults, retrieval first; all models when it accepts none."""
    kinds = sorted(engine.specs.MODELS, key=lambda kind: engine.specs.MODELS[kind].stage != "retrieval")
    return [kind for kind in kinds if refusal(_untouched(kind), dataset) is None] or kinds


def contenders(given: dict[str, Any], dataset: Dataset) -> list[ModelSpec | None]:
    """One form per contender; None for one whose settings are wrong or which the dataset refuses.

    They start with those in the address, else with those of FIRST that fit. They start anew with a dataset that refuses other models.
    """
    start = given.get("model", {}).get("kind")
    fitting = _fitting(dataset)
    chosen = _chosen(start, fitting)
    for kind in FIRST:
        if kind not in fitting and kind not in [k for _, k in chosen] and (why := refusal(_untouched(kind), dataset)):
            st.caption(f":material/block: {words.md(engine.specs.MODELS[kind].label)} is left out: {words.md(why, 400)}")
    specs = []
    grid = st.grid(2, min_column_width=420, border=True)
    for at, (uid, kind) in enumerate(chosen):
        with grid.cell():
            specs.append(_contender(at, uid, kind, given.get("model", {}) if kind == start else {}, len(chosen) > 1, dataset))
    _offers(full=len(chosen) >= MOST)
    address.remember(None, "models", [kind for _, kind in chosen] if start is None else None)
    return specs


def _chosen(start: str | None, fitting: list[str]) -> list[tuple[str, str]]:
    """The contenders of this tab, (key, kind) each: as before, or anew where the address or the dataset requires others."""
    before = st.session_state.get("train.fitting", fitting)
    requested = [kind for kind in address.values("models") if kind in engine.specs.MODELS] if before == fitting else []
    wanted = [start] if start in engine.specs.MODELS else requested or [kind for kind in fitting if kind in FIRST] or fitting[:1]
    origin = address.value("from") or "new"
    st.session_state["train.fitting"] = fitting
    if st.session_state.get("train.origin") != origin or before != fitting or "train.contenders" not in st.session_state:
        st.session_state["train.origin"] = origin
        st.session_state["train.contenders"] = [(uuid.uuid4().hex[:8], kind) for kind in wanted]
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


def _contender(at: int, uid: str, kind: str, given: dict[str, Any], removable: bool, dataset: Dataset) -> ModelSpec | None:
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


def _unasked(dataset: Dataset) -> tuple[str, ...]:
    """Settings without effect on a dataset."""
    return () if engine.specs.Task.of(dataset.manifest.get("label", {})).output == "actions" else ("action_weights",)
