"""Launching: contenders and settings become specs, specs become runs, one click one run."""

import hashlib
import uuid
from typing import Any

import streamlit as st
from pydantic import BaseModel

import engine
from ui.components import forms, layout, runview, words

MOST_SEEDS, MORE_EPOCHS = 10, 5
MOST_RUNS = 30  # of one launch: each waits its turn in a process of its own, of some 240 MB
SEEDS = "Networks are trained this many times, with seeds in a row: what differs between the runs is chance. They compare as one."


def settings_to_repeat(run_id: str | None) -> dict[str, Any]:
    """The spec of the run that ?from= names, to start the form from; empty when none is named."""
    if run_id is None:
        return {}
    try:
        return dict(engine.get_run(run_id).spec)
    except LookupError:
        layout.unknown("run", [run_id])
        return {}


def training(given: dict[str, Any]) -> tuple[BaseModel | None, int]:
    """The settings that all networks share, and over how many seeds each is repeated."""
    origin = st.session_state.get("train.origin", "new")
    with st.container(border=True):
        raw = forms.inputs(engine.TrainSpec, f"train.all.{origin}", given.get("train", {}), columns=3)
        seeds = st.number_input(
            "Repeat over seeds", 1, MOST_SEEDS, 1, key=f"train.seeds.{origin}", help=SEEDS, width=220, persist_state=forms.KEPT
        )
        return forms.built(engine.TrainSpec, raw), int(seeds)


def specs(dataset: str, models: list[BaseModel | None], training_spec: BaseModel | None, seeds: int = 1) -> list[list[Any]]:
    """The runs of each contender: one a seed, and one in all of a model that is fitted at once; none where its settings are wrong."""
    found: list[list[Any]] = []
    for model in models:
        if model is None or not isinstance(training_spec, engine.TrainSpec):
            found.append([])
            continue
        repeats = 1 if isinstance(model, engine.MatrixSpec) else seeds
        each = [training_spec.model_copy(update={"seed": training_spec.seed + k}) for k in range(repeats)]
        built = [forms.built(engine.RunSpec, {"dataset": dataset, "model": model, "train": train.model_dump()}) for train in each]
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
            st.code(engine.command_line(first), language="bash", wrap_lines=True)
            st.code(first.model_dump_json(indent=2), language="json", height=220)


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
    if len(wanted) > MOST_RUNS:
        st.warning(f"{len(wanted)} runs wait in as many processes; launch {MOST_RUNS} at most, with fewer seeds or contenders.")
    with st.container(horizontal=True, vertical_alignment="center"):
        ready = complete and 0 < len(wanted) <= MOST_RUNS
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


def more_epochs(run: Any) -> None:
    """Train a finished network for more epochs: a new run that begins with the weights of this one."""
    with st.expander("Continue for more epochs", icon=":material/fast_forward:", key=f"continue.{run.run_id}"):
        st.caption("A new run goes on from the best epoch of this one, with its model and settings. This one stays as it is.")
        asked = st.number_input("More epochs", 1, 1000, MORE_EPOCHS, key=f"continue.epochs.{run.run_id}", width=220)
        try:
            spec = engine.continued(run.run_id, int(asked))
        except (LookupError, ValueError) as error:
            st.info(words.md(error, 600), icon=":material/block:")
            return
        launched = button([spec], complete=True, key=f"continue.{run.run_id}", label="Continue")
        as_command(spec, key=f"continue.spec.{run.run_id}")
        if launched:
            runview.watch(launched)
