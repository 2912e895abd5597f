"""What a launch will take, above its button: a row for each contender, and what is tight or does not fit."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

import engine
from engine.datasets import Dataset
from engine.preflight import Preflight
from engine.specs import RunSpec
from ui.runs import launch, live
from ui.shared import tables, words

COLUMNS = ("Model", "Memory", "Disk", "Search", "Steps", "Time")
MARKS = {"warning": "△ ", "blocked": "✕ "}
PLAN = "What would it take with more users, or on other machines?"
EARLIER = "Prepare it with histories of what came before"
TOOLTIPS = {
    "Model": "Tables and all other weights.",
    "Memory": "Of each process, at its peak: the libraries, the network as it is built, trained and written.",
    "Disk": "At most at a time: the best checkpoint, the newest two, the one that is being written, and a copy in the run store.",
    "Search": "Settings that are tried on validation.",
    "Steps": "In all epochs of all trials, unless the run stops earlier.",
    "Time": "From finished runs of this kind on this machine, the fastest and the slowest; early stopping makes it shorter.",
}


def shown(contenders: Sequence[Sequence[RunSpec]], dataset: Dataset) -> bool:
    """Judge the launch and show it; whether it may start. A contender's runs differ in their seed, so the first of each is judged."""
    judged = {chr(65 + at): engine.preflight.training(runs[0], dataset) for at, runs in enumerate(contenders) if runs}
    if not judged:
        return True
    st.header("Before the launch", anchor=False)
    tables.show(tables.small_table(_frame(judged, contenders), "contender", left=True, tooltips=TOOLTIPS))
    for level, box, icon in (("blocked", st.error, ":material/block:"), ("warning", st.warning, ":material/warning:")):
        if sentences := _sentences(judged, level):
            box("  \n".join(sentences), icon=icon, title="This launch would not work" if level == "blocked" else "Tight")
    if any(item.name == engine.preflight.HISTORY for one in judged.values() for item in one.items):
        _offer_earlier_histories(dataset)
    _link_to_plan([runs[0] for runs in contenders if runs], dataset)
    return not any(one.level == "blocked" for one in judged.values())


def _link_to_plan(specs: Sequence[RunSpec], dataset: Dataset) -> None:
    """A link to the plan of the first contender that ranks train, for other counts and other machines."""
    kind = next((spec.model.kind for spec in specs if isinstance(spec.model, engine.specs.NetworkSpec)), None)
    if kind is not None:
        query = {"dataset": dataset.id, "of": kind}
        st.page_link("plan/page.py", label=PLAN, icon=":material/architecture:", query_params=query)


def _offer_earlier_histories(dataset: Dataset) -> None:
    """A button that prepares the dataset again with histories of what came before, and the way to train on it."""
    wanted = engine.preflight.with_earlier_histories(dataset)
    if wanted is None:
        return
    launched = launch.button([wanted], complete=True, key=f"train.earlier.{dataset.id}", label=EARLIER, primary=False)
    if launched and live.watch(launched) and (own := engine.runs.get_run(launched[0]).dataset):
        st.page_link("train/page.py", label="Train on it", icon=":material/model_training:", query_params={"dataset": own})


def _frame(judged: dict[str, Preflight], contenders: Sequence[Sequence[RunSpec]]) -> pd.DataFrame:
    """Ready text: what is tight or does not fit has a mark."""
    rows = {}
    for letter, one in judged.items():
        cells = {item.name: f"{MARKS.get(item.level, '')}{item.short}" for item in one.items}
        rows[f"{letter} · {contenders[ord(letter) - 65][0].model.label}"] = {name: cells.get(name, words.DASH) for name in COLUMNS}
    return pd.DataFrame.from_dict(rows, orient="index")


def _sentences(judged: dict[str, Preflight], level: str) -> list[str]:
    """A line for each item of a level, with the letters of the contenders that it is the same for."""
    letters: dict[str, list[str]] = {}
    for letter, one in judged.items():
        for item in one.items:
            if item.level == level:
                letters.setdefault(f"{item.name}: {item.value}. {item.advice}".strip(), []).append(letter)
    return [f"**{', '.join(which)}** · {words.md(text, 600)}" for text, which in letters.items()]
