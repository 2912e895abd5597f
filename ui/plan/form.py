"""What is planned: a run or a model with its settings, counts of the data, machines. The address keeps what differs from the usual."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from pydantic import ValidationError

import engine
from engine.datasets import Dataset
from engine.plan import Fleet, PlanSpec, Speed
from engine.runs import Run
from engine.specs import MODELS, NetworkSpec, RunSpec
from ui.shared import address, forms, picker, words

TRAIN = ("batch_size", "table_optimizer", "sharding")  # the settings of a training that a plan depends on
COUNT_HELP = "A number such as 300M, 10k or 2,500,000; or 10x for ten times as many as now. Empty: as now."


def start(dataset: Dataset) -> tuple[RunSpec, Run | None] | None:
    """The run, or the model with its usual settings, that the plan is of; bound to ?of=. None where the dataset accepts no network."""
    runs = {run.run_id: run for run in picker.finished(dataset.id) if isinstance(run.spec, RunSpec) and _is_network(run.spec)}
    label = dataset.manifest.get("label", {})
    kinds = [kind for kind, model in MODELS.items() if issubclass(model, NetworkSpec)]
    usual = {kind: MODELS[kind].model_validate({"kind": kind}) for kind in kinds}
    known = picker.labels(list(runs.values()))
    known |= {kind: f"{model.label} · usual settings" for kind, model in usual.items() if model.refusal(dataset.schema, label) is None}
    if not known:
        return None
    wanted = address.value("of")
    chosen = address.select("Run or model", f"plan.of.{dataset.id}", "of", known)
    if wanted is not None and wanted not in known:
        why = usual[wanted].refusal(dataset.schema, label) if wanted in usual else None
        st.caption(words.md(why or f"There is no run or model {wanted[:60]!r} to plan on this dataset; the first is selected.", 400))
    if chosen in runs and isinstance(spec := runs[chosen].spec, RunSpec):
        return engine.runs.as_chosen(chosen, spec), runs[chosen]
    return RunSpec.model_validate({"dataset": dataset.id, "model": {"kind": chosen}}), None


def _is_network(spec: RunSpec) -> bool:
    return isinstance(spec.model, NetworkSpec)


def settings(given: RunSpec, origin: str) -> RunSpec | None:
    """The run with settings as they are filled in; None after saying what is wrong. origin: of the run, which the form starts with."""
    kind, key = type(given.model), f"plan.{origin}"
    with st.expander(f"Settings · {given.model.title}", icon=":material/tune:", key=f"{key}.settings"):
        own = forms.inputs(kind, f"{key}.model", given.model.model_dump(), columns=4, omit=("action_weights",), fold=False)
        train = forms.inputs(engine.specs.TrainSpec, f"{key}.train", given.train.model_dump(), columns=4, only=TRAIN, fold=False)
    model = forms.built(kind, own | {"kind": given.model.kind, "action_weights": getattr(given.model, "action_weights", ())})
    if model is None:
        return None
    whole = {"dataset": given.dataset, "name": given.name if model == given.model else None, "protocol": given.protocol}
    return forms.built(RunSpec, whole | {"model": model, "train": given.train.model_dump() | train})


def counts(dataset: Dataset) -> dict[str, str]:
    """The counts that are asked for, as they are written: users, items, interactions, and values of other vocabularies."""
    now = engine.plan.sizes_now(dataset)
    first = {"users": now.get("user_id"), "items": now.get("item_id"), "interactions": dataset.rows}
    found: dict[str, str] = {}
    named = [(name, count) for name, count in first.items() if count is not None]
    for column, (name, count) in zip(st.columns(len(named)), named, strict=True):
        with column:
            found[name] = _count(dataset, name, count, name)
    others = [(name, count) for name, count in now.items() if name not in ("user_id", "item_id")]
    if not others:
        return found
    with st.expander("Other features", icon=":material/category:", key="plan.others"):
        for at in range(0, len(others), 4):
            for column, (name, count) in zip(st.columns(4), others[at : at + 4], strict=False):
                with column:
                    found[name] = _count(dataset, name, count, f"rows.{name}")
    return found


def _count(dataset: Dataset, name: str, now: int, query: str) -> str:
    key = f"plan.count.{dataset.id}.{name}"
    address.seed(key, query, address.value(query) or "")
    text = st.text_input(
        words.md(words.field_label(name), 40), key=key, help=COUNT_HELP, placeholder=f"{now:,} now", max_chars=40, persist_state=forms.KEPT
    )
    address.remember(key, query, (text or "").strip() or None)
    return text or ""


def machines() -> tuple[dict[str, Any], dict[str, Any]]:
    """The machines, and the speed and passes that are given by hand, as raw values; bound to the address under their names."""
    given, by_hand = _of_address(Fleet), _of_address(Speed)
    *first, last = Fleet.model_fields
    fleet = forms.inputs(Fleet, "plan.fleet", given, columns=4, only=tuple(first))
    narrow, wide, _ = st.columns([1, 2, 1])
    with narrow:
        fleet |= forms.inputs(Fleet, "plan.fleet", given, columns=1, only=(last,))
    with wide:
        speed = forms.inputs(Speed, "plan.speed", by_hand)
    _remember(Fleet, fleet)
    _remember(Speed, speed)
    return fleet, speed


def _remember(spec: type[Fleet] | type[Speed], values: Mapping[str, Any]) -> None:
    """Write into the address what is not as usual."""
    for name, value in values.items():
        usual = value in (spec.model_fields[name].default, None)
        address.remember(None, name, None if usual else f"{value:g}" if isinstance(value, float) else str(value))


def _of_address(spec: type[Fleet] | type[Speed]) -> dict[str, Any]:
    """The fields that the address names; none, after saying so, where they are not what the spec takes."""
    written = {name: text for name in spec.model_fields if (text := address.value(name)) is not None}
    try:
        return spec.model_validate(written).model_dump(include=set(written))
    except ValidationError as error:
        st.caption(f"The address asks for what cannot be planned; the usual is shown. {words.md(engine.specs.explain(error), 400)}")
        return {}


def asked(run: RunSpec, dataset: Dataset, texts: Mapping[str, str], fleet: Mapping[str, Any], others: Mapping[str, Any]) -> PlanSpec | None:
    """The plan that is asked for; None after saying what is wrong."""
    try:
        return engine.plan.plan_spec(run, {"counts": engine.plan.counts_from(dataset, texts), "fleet": fleet, **others})
    except ValueError as error:
        st.error(words.md(error, 600), icon=":material/edit_off:")
        return None
