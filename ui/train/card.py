"""The card of one contender: its purpose, its settings, and the learning rates and optimisers that are its own."""

from typing import Any, NamedTuple

import streamlit as st
from pydantic import ValidationError
from streamlit.delta_generator import DeltaGenerator

import engine
from engine import compare
from engine.datasets import Dataset
from engine.specs import ModelSpec, NetworkSpec
from ui.shared import forms, words
from ui.train import purposes

RATES = ("table_learning_rate", "dense_learning_rate")
OPTIMISERS = ("table_epsilon", "table_optimizer", "dense_optimizer", "weight_decay")
OWN = (*RATES, *OPTIMISERS)  # of the settings of a training, those that suit one model and not the next
TREES = "Grown in one process: of the training settings below, the seed alone applies."
FITTED = "Fitted in one process: the training settings below do not apply, and it is not repeated over seeds."


class Entry(NamedTuple):
    """A contender as it is filled in: its model, and the settings of its training that are its own, as raw values.

    `key`: a prefix for its widgets. `tried`: the place in its card for what a search tries, from the space `given`, if any.
    """

    model: ModelSpec
    own: dict[str, Any]
    key: str
    tried: DeltaGenerator
    given: dict[str, Any] | None


def refusal(model: ModelSpec, dataset: Dataset) -> str | None:
    """Why a model cannot be trained on a dataset; None when it can."""
    return model.refusal(dataset.schema, dataset.manifest.get("label", {}))


def untouched(kind: str) -> ModelSpec:
    """A model with its default settings."""
    return engine.specs.MODELS[kind].model_validate({"kind": kind})


def head(at: int, model: type[ModelSpec]) -> None:
    """The letter and the name of a contender."""
    drawn = compare.look(at)
    glyph = f'<span style="color:{drawn.color}">{drawn.glyph}</span>'
    st.html(f'<div class="rb"><b>{glyph} {chr(65 + at)} · {words.html(model.label)}</b></div>', width="content")


def fields(uid: str, kind: str, given: dict[str, Any], dataset: Dataset) -> Entry | None:
    """The settings of a contender; None where one is wrong, or where the dataset refuses the model; says which and why.

    Args:
        given: `model`, `train` and `search` to start from; may be empty.
    """
    model, key = engine.specs.MODELS[kind], f"train.{uid}"
    start = given.get("model", {})
    st.caption((model.__doc__ or "").split("\n")[0])
    if issubclass(model, engine.specs.MatrixSpec):
        st.caption(f":material/bolt: {FITTED}")
    elif not issubclass(model, NetworkSpec):
        st.caption(f":material/bolt: {TREES}")
    refused = st.container()
    raw = purposes.ask(model, key, start, dataset.schema.can_rank)
    omit = {purposes.field_of(model) or "", *_unasked(dataset)}
    folded = [name for name in forms.folded(model) if name not in omit]
    raw |= forms.inputs(model, key, start, omit=(*omit, *folded))
    network = issubclass(model, NetworkSpec)
    rates = st.container() if network else None
    if folded or network:
        with st.expander("More settings", icon=":material/tune:", key=f"{key}.more"):
            raw |= forms.inputs(model, key, start, only=tuple(folded), fold=False)
            own = _own(OPTIMISERS, key, given, _built(kind, raw)) if network else {}
    if rates is not None:
        with rates:
            own |= _own(RATES, key, given, _built(kind, raw))
    spec = forms.built(model, raw | {"kind": kind})
    why = refusal(spec, dataset) if spec is not None else None
    if why:
        refused.error(words.md(why, 600), icon=":material/block:", title="Not on this dataset")
    if why or spec is None:
        return None
    return Entry(spec, own if network else {}, key, st.container(), (given.get("search") or {}).get("space"))


def _own(names: tuple[str, ...], key: str, given: dict[str, Any], model: ModelSpec) -> dict[str, Any]:
    """Settings of the training that are the contender's; an empty one shows the value that the model then uses."""
    assert isinstance(model, NetworkSpec)
    empty = {"table_learning_rate": f"{model.table_rate:g}, as usual here", "table_epsilon": f"{model.table_epsilon:g}, as usual here"}
    return forms.inputs(engine.specs.TrainSpec, f"{key}.train", given.get("train", {}), only=names, fold=False, empty=empty)


def _built(kind: str, raw: dict[str, Any]) -> ModelSpec:
    """The model as filled in; with its defaults where a setting is wrong, which is said elsewhere."""
    try:
        return engine.specs.MODELS[kind].model_validate(raw | {"kind": kind})
    except ValidationError:
        return untouched(kind)


def _unasked(dataset: Dataset) -> tuple[str, ...]:
    """Settings without effect on a dataset."""
    return () if engine.specs.Task.of(dataset.manifest.get("label", {})).output == "actions" else ("action_weights",)
