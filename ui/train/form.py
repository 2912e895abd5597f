"""The Train form: settings become specs."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

import engine
from engine.specs import ModelSpec, RunSpec, TrainSpec
from ui.shared import forms, layout, words

MOST_SEEDS = 10


SEEDS = "Trains each network this many times with consecutive seeds, to show variation by chance. Compare shows them as one contender."


def settings_to_repeat(run_id: str | None) -> dict[str, Any]:
    """The spec of the run that ?from= names, to start the form from; empty when none is named."""
    if run_id is None:
        return {}
    try:
        return dict(engine.runs.get_run(run_id).settings)
    except LookupError:
        layout.unknown("run", [run_id])
        return {}


def training(given: dict[str, Any]) -> tuple[TrainSpec | None, int]:
    """The settings that all networks share, and over how many seeds each is repeated."""
    origin = st.session_state.get("train.origin", "new")
    with st.container(border=True):
        raw = forms.inputs(engine.specs.TrainSpec, f"train.all.{origin}", given.get("train", {}), columns=3)
        seeds = st.number_input(
            "Repeat over seeds", 1, MOST_SEEDS, 1, key=f"train.seeds.{origin}", help=SEEDS, width=220, persist_state=forms.KEPT
        )
        return forms.built(engine.specs.TrainSpec, raw), int(seeds)


def specs(dataset: str, models: Sequence[ModelSpec | None], training_spec: TrainSpec | None, seeds: int = 1) -> list[list[RunSpec]]:
    """The runs of each contender: one per seed, or a single one for a model without epochs; none where its settings are wrong."""
    contenders: list[list[RunSpec]] = []
    for model in models:
        if model is None or training_spec is None:
            contenders.append([])
            continue
        repeats = 1 if isinstance(model, engine.specs.MatrixSpec) else seeds
        each = [training_spec.model_copy(update={"seed": training_spec.seed + k}) for k in range(repeats)]
        built = [forms.built(engine.specs.RunSpec, {"dataset": dataset, "model": model, "train": train.model_dump()}) for train in each]
        contenders.append([spec for spec in built if spec is not None] if all(built) else [])
    return contenders


def commands(contenders: list[list[RunSpec]]) -> None:
    """The specs as JSON and as commands. A contender's runs differ only in their seed, so one of them is shown."""
    with st.expander("As JSON and as commands", icon=":material/terminal:", key="train.commands"):
        st.caption("The same launch on the command line.")
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
