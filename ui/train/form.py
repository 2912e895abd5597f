"""The Train form: settings become specs."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

import engine
from engine.specs import Protocol, RunSpec
from ui.shared import forms, layout, words
from ui.train.card import OWN, Entry

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


def training(given: dict[str, Any], seeds: int = 1) -> tuple[dict[str, Any] | None, int]:
    """The settings that all networks share, as raw values, and over how many seeds each is repeated; None where one is wrong.

    Args:
        given: values to start from. seeds: the number to start from.
    """
    origin = st.session_state.get("train.origin", "new")
    with st.container(border=True):
        raw = forms.inputs(engine.specs.TrainSpec, f"train.all.{origin}", given, columns=4, omit=OWN)
        asked = st.number_input(
            "Repeat over seeds", 1, MOST_SEEDS, min(seeds, MOST_SEEDS), key=f"train.seeds.{origin}", help=SEEDS, width=220,
            persist_state=forms.KEPT,
        )  # fmt: skip
        return (raw if forms.built(engine.specs.TrainSpec, raw) else None), int(asked)


def specs(
    dataset: str, entries: Sequence[Entry | None], shared: dict[str, Any] | None, protocol: Protocol, seeds: int = 1
) -> list[list[RunSpec]]:
    """The runs of each contender: one per seed, or a single one for a model without epochs; none where its settings are wrong."""
    whole = {"dataset": dataset, "protocol": protocol}
    return [_runs(whole, at, entry, shared, seeds) if entry and shared else [] for at, entry in enumerate(entries)]


def _runs(whole: dict[str, Any], at: int, entry: Entry, shared: dict[str, Any], seeds: int) -> list[RunSpec]:
    """whole: what the runs of all contenders have in common, beside the settings of the training."""
    try:
        train = engine.specs.TrainSpec.model_validate(shared | entry.own)
        repeats = 1 if isinstance(entry.model, engine.specs.MatrixSpec) else seeds
        each = [train.model_copy(update={"seed": train.seed + k}).model_dump() for k in range(repeats)]
        return [engine.specs.RunSpec.model_validate(whole | {"model": entry.model, "train": one}) for one in each]
    except ValidationError as error:
        st.error(f"**{chr(65 + at)}** · {words.md(engine.specs.explain(error), 600)}", icon=":material/edit_off:")
        return []


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
