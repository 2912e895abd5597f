"""The Train form: settings become specs."""

from typing import Any

import streamlit as st
from pydantic import BaseModel

import engine
from ui.shared import forms, layout, words

MOST_SEEDS = 10


SEEDS = "Networks are trained this many times, with seeds in a row: what differs between the runs is chance. They compare as one."


def settings_to_repeat(run_id: str | None) -> dict[str, Any]:
    """The spec of the run that ?from= names, to start the form from; empty when none is named."""
    if run_id is None:
        return {}
    try:
        return dict(engine.runs.get_run(run_id).settings)
    except LookupError:
        layout.unknown("run", [run_id])
        return {}


def training(given: dict[str, Any]) -> tuple[BaseModel | None, int]:
    """The settings that all networks share, and over how many seeds each is repeated."""
    origin = st.session_state.get("train.origin", "new")
    with st.container(border=True):
        raw = forms.inputs(engine.specs.TrainSpec, f"train.all.{origin}", given.get("train", {}), columns=3)
        seeds = st.number_input(
            "Repeat over seeds", 1, MOST_SEEDS, 1, key=f"train.seeds.{origin}", help=SEEDS, width=220, persist_state=forms.KEPT
        )
        return forms.built(engine.specs.TrainSpec, raw), int(seeds)


def specs(dataset: str, models: list[BaseModel | None], training_spec: BaseModel | None, seeds: int = 1) -> list[list[Any]]:
    """The runs of each contender: one a seed, and one in all of a model that is fitted at once; none where its settings are wrong."""
    found: list[list[Any]] = []
    for model in models:
        if model is None or not isinstance(training_spec, engine.specs.TrainSpec):
            found.append([])
            continue
        repeats = 1 if isinstance(model, engine.specs.MatrixSpec) else seeds
        each = [training_spec.model_copy(update={"seed": training_spec.seed + k}) for k in range(repeats)]
        built = [forms.built(engine.specs.RunSpec, {"dataset": dataset, "model": model, "train": train.model_dump()}) for train in each]
        found.append([spec for spec in built if spec is not None] if all(built) else [])
    return found


def commands(contenders: list[list[Any]]) -> None:
    """What the button launches, as JSON and as commands: a contender's runs differ in their seed alone, so one of them is shown."""
    with st.expander("As JSON and as commands", icon=":material/terminal:", key="train.commands"):
        st.caption("What the button launches, as the command line takes it.")
        for at, runs in enumerate(contenders):
            if not runs:
                continue
            first = runs[0]
            if len(contenders) > 1 or len(runs) > 1:
                more = ""
                if len(runs) > 1:
                    others = ", ".join(str(spec.train.seed) for spec in runs[1:])
                    more = f", and {words.count(len(runs) - 1)} more with train.seed {others}"
                st.markdown(f"**{chr(65 + at)} · {words.md(first.title, 80)}**{more}")
            st.code(engine.compare.command_line(first), language="bash", wrap_lines=True)
            st.code(first.model_dump_json(indent=2), language="json", height=220)
