"""Choosing runs and datasets; the page's address records the choice."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine import compare
from engine.datasets import Dataset
from engine.runs import Run
from ui.shared import address, states, words


def finished(dataset: str | None = None) -> list[Run]:
    """Finished training runs, newest first."""
    return [run for run in engine.runs.list_runs(kind="train", dataset=dataset) if states.is_in(run, "FINISHED")]


def run_label(run: Run) -> str:
    """What people call a run: its title, its dataset and when it ended."""
    when = words.ago(run.ended_at or run.submitted_at)
    return f"{words.plain(run.title, 60)} · {words.plain(run.dataset_name or words.DASH, 30)} · {when}"


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """Run id -> label; runs with the same label get a part of their id added."""
    plain = {run.run_id: run_label(run) for run in runs}
    twice = {label for label, n in Counter(plain.values()).items() if n > 1}
    return {run_id: f"{label} · {run_id[:6]}" if label in twice else label for run_id, label in plain.items()}


def titles(runs: Sequence[Run]) -> dict[str, str]:
    """Run id -> title; where runs of one title and dataset differ in their seed, the seed is added."""
    seeds: dict[tuple[str, str | None], set[int | None]] = {}
    for run in runs:
        seeds.setdefault((run.title, run.dataset), set()).add(_seed(run))
    many = {name for name, of_name in seeds.items() if len(of_name) > 1}
    return {run.run_id: f"{run.title} · seed {_seed(run)}" if (run.title, run.dataset) in many else run.title for run in runs}


def _seed(run: Run) -> int | None:
    return run.spec.train.seed if isinstance(run.spec, engine.specs.RunSpec) else None


def pick_runs(key: str, runs: list[Run], default: list[str], label: str = "Runs") -> tuple[list[str], list[str]]:
    """A multiselect of runs bound to ?runs=.

    Returns:
        The ids chosen, in the order chosen, and the ids in the address that are not among `runs`.
    """
    shown = labels(runs)
    requested = address.values("runs")
    unknown = [run_id for run_id in requested if run_id not in shown]
    known = [run_id for run_id in requested if run_id in shown]
    if len(known) > compare.MOST_LOOKS:
        st.caption(f"The address names {len(known)} runs; at most {compare.MOST_LOOKS} are compared, so only the first are shown.")
    address.seed(key, "runs", (known if requested else [run_id for run_id in default if run_id in shown])[: compare.MOST_LOOKS])
    st.session_state[key] = [run_id for run_id in st.session_state[key] if run_id in shown]
    chosen = st.multiselect(
        label, list(shown), format_func=lambda run_id: shown[run_id], key=key, max_selections=compare.MOST_LOOKS, wrap=True
    )
    if chosen or not unknown:
        address.remember(key, "runs", chosen)
    return chosen, unknown


def pick_dataset(key: str, datasets: list[Dataset], label: str = "Dataset") -> Dataset | None:
    """A select box of prepared datasets bound to ?dataset=; None after saying that the address names an unknown one."""
    by_id = {dataset.id: dataset for dataset in datasets}
    requested = address.value("dataset")
    address.seed(key, "dataset", requested if requested in by_id else next(iter(by_id), None))
    if st.session_state[key] not in by_id:
        st.session_state[key] = next(iter(by_id), None)
    chosen = st.selectbox(label, list(by_id), format_func=lambda dataset_id: dataset_label(by_id[dataset_id]), key=key)
    if requested and requested not in by_id:
        st.caption(f"There is no dataset {words.md(requested, 60)} here; the newest is selected instead.")
    address.remember(key, "dataset", chosen)
    return by_id.get(chosen)


def dataset_label(dataset: Dataset) -> str:
    """The dataset's title and a short id."""
    return f"{words.plain(dataset.title, 100)} · {dataset.id.rsplit('-', 1)[-1][:6]}"


def pick_row(frame: pd.DataFrame, ids: list[str], key: str, param: str, columns: Mapping[str, Any], alt: str) -> str | None:
    """A table; the address records the one selected row.

    Args:
        frame: one row per id.
        columns: Streamlit's column configuration.

    Returns:
        The id selected; None for no selection.
    """
    requested, written = address.value(param), st.session_state.get(f"address.{key}", "")
    turn = st.session_state.get(f"turn.{key}", 0) + (written != (requested or ""))  # a link or Back outranks the widget
    st.session_state[f"turn.{key}"] = turn
    start: Any = {"selection": {"rows": [ids.index(requested)]}} if requested in ids else None
    digest = hashlib.md5(",".join(ids).encode(), usedforsecurity=False).hexdigest()[:8]
    event: Any = st.dataframe(
        frame,
        key=f"{key}.{turn}.{digest}",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        selection_default=start,
        column_config=dict(columns),
        placeholder=words.DASH,
        alt=alt,
    )
    rows = event["selection"]["rows"]
    chosen = ids[rows[0]] if rows and rows[0] < len(ids) else None
    st.session_state[f"address.{key}"] = chosen or ""
    if chosen or requested in ids:
        address.remember(None, param, chosen)
    return chosen


def last_comparison(runs: Sequence[Run]) -> list[str]:
    """The newest finished run of each model on the dataset that was trained on last, retrieval first; fewer than two: empty."""
    done = [run for run in runs if run.kind == "train" and states.is_in(run, "FINISHED")]
    same = [run for run in done if run.dataset == done[0].dataset]
    newest = {run.model or "": run.run_id for run in reversed(same)}
    chosen = [newest[kind] for kind in sorted(newest, key=_stage)]
    chosen += [run.run_id for run in same if run.run_id not in chosen][: max(0, 2 - len(chosen))]
    return chosen[: compare.MOST_LOOKS] if len(chosen) > 1 else []


def _stage(kind: str) -> int:
    """Retrieval before ranking, the order of the funnel."""
    model = engine.specs.MODELS.get(kind)
    return 0 if model is not None and model.stage == "retrieval" else 1
