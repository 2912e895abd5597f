"""Launching: contenders and settings become specs, specs become runs, one click one run."""

import hashlib
import uuid
from typing import Any

import streamlit as st
from pydantic import BaseModel

import engine
from ui.components import address, charts, forms, layout, words

OBJECTIVE = (
    "Softmax with logQ, the default for retrieval, learns what people choose out of everything; pointwise BCE (the reference "
    "method) learns how they rate what they met, and over the full MovieLens catalogue that ranks worse than popularity."
)


FIRST = ("two_tower", "dlrm")  # the contenders that a new form starts with; the others are a button away


def settings_to_repeat(run_id: str | None) -> dict[str, Any]:
    """The spec of the run that ?from= names, to start the form from; empty when none is named."""
    if run_id is None:
        return {}
    try:
        return dict(engine.get_run(run_id).spec)
    except LookupError:
        layout.unknown("run", [run_id])
        return {}


def refusal(model: Any, dataset: Any) -> str | None:
    """Why a model cannot be trained on a dataset; None when it can."""
    return model.refusal(dataset.schema, dataset.manifest.get("label", {}))  # type: ignore[no-any-return]


def _untouched(kind: str) -> BaseModel:
    """A model with its own defaults."""
    return engine.MODELS[kind].model_validate({"kind": kind})


def _fitting(dataset: Any) -> list[str]:
    """The models that a dataset takes under their own defaults, retrieval first; all of them when it takes none."""
    kinds = sorted(engine.MODELS, key=lambda kind: engine.MODELS[kind].stage != "retrieval")
    return [kind for kind in kinds if refusal(_untouched(kind), dataset) is None] or kinds


def contenders(given: dict[str, Any], dataset: Any) -> list[BaseModel | None]:
    """A form a contender; None stands for one whose settings are wrong or which the dataset refuses.

    They start with what the address names, else with those of FIRST that fit; with another dataset that refuses others, anew.
    """
    start = given.get("model", {}).get("kind")
    fitting = _fitting(dataset)
    before = st.session_state.get("train.fitting", fitting)
    asked = [kind for kind in address.values("models") if kind in engine.MODELS] if before == fitting else []
    wanted = [start] if start in engine.MODELS else asked or [kind for kind in fitting if kind in FIRST] or fitting[:1]
    origin = address.value("from") or "new"
    st.session_state["train.fitting"] = fitting
    if st.session_state.get("train.origin") != origin or before != fitting or "train.contenders" not in st.session_state:
        st.session_state["train.origin"] = origin
        st.session_state["train.contenders"] = [(uuid.uuid4().hex[:8], kind) for kind in wanted]
    chosen = st.session_state["train.contenders"]
    for kind in FIRST:
        if kind not in fitting and kind not in [k for _, k in chosen] and (why := refusal(_untouched(kind), dataset)):
            st.caption(f":material/block: {words.md(engine.MODELS[kind].label)} is left out: {words.md(why, 400)}")
    found = []
    grid = st.grid(2, min_column_width=420, border=True)
    for at, (uid, kind) in enumerate(chosen):
        with grid.cell():
            found.append(_contender(at, uid, kind, given.get("model", {}) if kind == start else {}, len(chosen) > 1, dataset))
    with st.container(horizontal=True, vertical_alignment="center"):
        for kind, model in sorted(engine.MODELS.items(), key=lambda entry: entry[1].stage != "retrieval"):
            st.button(
                f"Add {model.label}",
                icon=":material/add:",
                key=f"train.add.{kind}",
                on_click=_add,
                args=(kind,),
                disabled=len(chosen) > 5,
            )
    address.remember(None, "models", [kind for _, kind in chosen] if start is None else None)
    return found


def _add(kind: str) -> None:
    st.session_state["train.contenders"] = [*st.session_state["train.contenders"], (uuid.uuid4().hex[:8], kind)]


def _remove(uid: str) -> None:
    st.session_state["train.contenders"] = [c for c in st.session_state["train.contenders"] if c[0] != uid]


def _contender(at: int, uid: str, kind: str, given: dict[str, Any], removable: bool, dataset: Any) -> BaseModel | None:
    model, drawn = engine.MODELS[kind], charts.look(at)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        glyph = f'<span style="color:{drawn.color}">{drawn.glyph}</span>'
        st.html(f'<div class="rb"><b>{glyph} {chr(65 + at)} · {words.html(model.label)}</b></div>', width="content")
        if removable:
            st.button("Remove", icon=":material/close:", type="tertiary", key=f"train.remove.{uid}", on_click=_remove, args=(uid,))
    st.caption((model.__doc__ or "").split("\n")[0])
    if "objective" in model.model_fields:
        st.caption(OBJECTIVE)
    refused = st.container()
    raw = forms.inputs(model, f"train.{uid}", given)
    spec = forms.built(model, raw | {"kind": kind})
    why = refusal(spec, dataset) if spec is not None else None
    if why:
        refused.error(words.md(why, 600), icon=":material/block:", title="Not on this dataset")
    return None if why else spec


def training(given: dict[str, Any]) -> BaseModel | None:
    """The settings that all contenders share."""
    origin = st.session_state.get("train.origin", "new")
    with st.container(border=True):
        return forms.built(engine.TrainSpec, forms.inputs(engine.TrainSpec, f"train.all.{origin}", given.get("train", {}), columns=3))


def specs(dataset: str, models: list[BaseModel | None], training_spec: BaseModel | None) -> list[Any]:
    """A run spec for every contender whose settings are right."""
    if training_spec is None:
        return []
    raw = [{"dataset": dataset, "model": model, "train": training_spec} for model in models if model is not None]
    return [spec for spec in (forms.built(engine.RunSpec, one) for one in raw) if spec is not None]


def as_command(spec: Any, key: str) -> None:
    """The spec as JSON and the command that repeats it."""
    with st.expander("As JSON and as a command", icon=":material/terminal:", key=key):
        st.code(engine.command_line(spec), language="bash", wrap_lines=True)
        st.code(spec.model_dump_json(indent=2), language="json", height=260)


def button(wanted: list[Any], complete: bool, key: str = "train", label: str | None = None) -> list[str]:
    """The launch button. One rendered form and one set of settings launch once, however often it is clicked.

    Returns:
        The ids of the runs last launched from here in this tab.
    """
    nonce = st.session_state.setdefault(f"{key}.nonce", uuid.uuid4().hex)
    digest = hashlib.sha256("".join(spec.model_dump_json() for spec in wanted).encode()).hexdigest()[:16]
    done = st.session_state.setdefault(f"{key}.launched", {})
    text = label or ("Launch" if len(wanted) < 2 else f"Launch {len(wanted)} runs")
    with st.container(horizontal=True, vertical_alignment="center"):
        ready = complete and bool(wanted)
        clicked = st.button(text, type="primary", icon=":material/play_arrow:", disabled=not ready or digest in done, key=f"{key}.launch")
        if digest in done and st.button("Launch the same again", key=f"{key}.again", type="tertiary", icon=":material/replay:"):
            st.session_state[f"{key}.nonce"] = uuid.uuid4().hex
            del done[digest]
            st.rerun()
    if clicked and ready and digest not in done:
        try:
            done[digest] = [engine.submit(spec, key=f"{nonce}-{digest}-{at}") for at, spec in enumerate(wanted)]
        except (LookupError, ValueError, OSError) as error:
            st.error(words.md(error, 600), icon=":material/error:", title="Not launched")
            return []
        st.session_state[f"{key}.last"] = done[digest]
        st.rerun()
    return list(st.session_state.get(f"{key}.last", []))
