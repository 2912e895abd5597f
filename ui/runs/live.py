"""A run and its progress: badge and curves. All of it is read from the engine; no page owns a run."""

import pandas as pd
import streamlit as st

import engine
from engine import compare
from engine.runs import Run
from ui.runs import annotations, gains, log, predictions, search
from ui.shared import charts, layout, picker, states, words

OUTPUT_FAMILIES = ("value", "classes", "actions")
METRICS = (
    "ndcg_at_10", "recall_at_100", "auc", "log_loss", "calibration",
    *(key for key, metric in engine.specs.METRICS.items() if metric.family in OUTPUT_FAMILIES),
)  # fmt: skip  # those of the comparison that the page of a single run shows


def line(run: Run, title: str | None = None) -> None:
    """One run as a line: badge, title (a link to it), progress.

    Args:
        title: shown instead of the run's own title where that is ambiguous.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        states.badge(run, width=118)
        st.page_link("runs/page.py", label=f"**{words.md(title or run.title, 80)}**", query_params={"run": run.run_id})
        st.caption(_joined(words.md(run.dataset_name or ""), words.ago(run.submitted_at)), width="content")
    if run.live and run.progress is not None and not states.is_in(run, "QUEUED"):
        st.progress(min(1.0, max(0.0, run.progress.share)), text=words.md(states.sentence(run)))
    elif states.is_in(run, "FAILED", "INTERRUPTED") and run.message:
        st.error(words.md(run.message.partition("\n")[0], 600), icon=":material/error:")


def _joined(*parts: str) -> str:
    """The parts that are not empty: downloads have no dataset."""
    return " · ".join(part for part in parts if part)


def counters() -> bool:
    """Counts of datasets and runs; returns whether a run is live."""
    runs = engine.runs.list_runs()
    waiting = [run for run in runs if states.is_in(run, "QUEUED")]
    live = [run for run in runs if run.live]
    done = [run for run in runs if run.kind == "train" and states.is_in(run, "FINISHED")]
    grid = st.grid(min_column_width=170, border=True)
    grid.metric("Prepared datasets", words.count(len(engine.datasets.list_datasets())))
    grid.metric("Running", words.count(len(live) - len(waiting)))
    grid.metric("Queued", words.count(len(waiting)))
    grid.metric("Finished training runs", words.count(len(done)))
    return bool(live)


def watch(run_ids: list[str]) -> bool:
    """Draw some runs live, each as a line; returns whether all have finished."""
    live = any(run.live for run in map(engine.runs.get_run, run_ids))

    def draw() -> bool:
        runs = [engine.runs.get_run(run_id) for run_id in run_ids]
        titles = picker.titles(runs)
        for run in runs:
            line(run, titles[run.run_id])
        return any(run.live for run in runs)

    layout.live(draw, live, seconds=1.5)
    return all(states.is_in(engine.runs.get_run(run_id), "FINISHED") for run_id in run_ids)


def heading(run_id: str) -> bool:
    """Title, state and the cause of a failure; returns whether the run is live."""
    run = engine.runs.get_run(run_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(words.md(run.title, 80), anchor=False, width="content")
        states.badge(run)
        st.caption(_joined(words.md(run.dataset_name or ""), f"run {words.md(run.run_id)}"), width="content")
    annotations.note(run)
    if states.is_in(run, "FAILED", "INTERRUPTED") and run.message:
        sentence, _, lines = run.message.partition("\n")
        st.error(words.md(sentence, 2000), icon=":material/error:", title=states.look(run.state).label)
        if lines:
            st.code(lines, language=None, wrap_lines=True)
    if states.is_in(run, "FINISHED") and run.kind == "train":
        alarms(run_id)
    return run.live


def alarms(run_id: str) -> None:
    """Warnings that a finished model is degenerate."""
    try:
        sentences = engine.runs.alarms(run_id)
    except ValueError as error:
        st.error(words.md(error, 600), icon=":material/broken_image:", title="The results of this run were changed")
        return
    if sentences:
        listed = "\n".join(f"- {words.md(sentence, 400)}" for sentence in sentences)
        st.warning(listed, icon=":material/warning:", title="Check this model")


def details(run_id: str) -> bool:
    """The live part of one run's page; returns whether it is still live."""
    run = engine.runs.get_run(run_id)
    if run.live:
        share = run.progress.share if run.progress else 0.0
        st.progress(min(1.0, max(0.0, share)), text=words.md(states.sentence(run)))
        if run.message:
            st.warning(words.md(run.message, 600), icon=":material/warning:")
    facts(run)
    if run.kind == "train":
        search_or_curves(run)
        if states.is_in(run, "FINISHED"):
            gains.section(run)
            predictions.section(run)
    log.pane(run)
    return run.live


def search_or_curves(run: Run) -> None:
    """The trials of a run that searches; else its curves."""
    try:
        found = engine.searches.of_run(run.run_id)
    except ValueError:  # its results were changed, which the heading says
        found = None
    if found is None:
        training_curves(run.run_id, engine.runs.history(run.run_id), _step(run))
        return
    search.section(run, found)
    curves = engine.runs.history(run.run_id, found.best.number) if found.best else pd.DataFrame()
    if len(curves):
        st.markdown(f"**Curves of the best, trial {found.best.number if found.best else 0}**")
        training_curves(run.run_id, curves)


def _step(run: Run) -> str:
    """What the validation of a run is drawn over."""
    model = engine.specs.MODELS.get(run.model or "")
    return model.step if model else "epoch"


def facts(run: Run) -> None:
    """Times, and the main test metrics once there are any."""
    cells = [("Submitted", words.ago(run.submitted_at), words.absolute(run.submitted_at))]
    if not run.owner.is_me:
        cells.append(("Owner", words.plain(run.owner.user or words.DASH, 40), words.md(run.owner.place, 200)))
    if run.started_at:
        waited = (run.started_at - run.submitted_at).total_seconds() if run.submitted_at else None
        cells.append(("Waited", words.duration(waited), "Time in the queue"))
    if run.started_at and run.ended_at:
        cells.append(("Duration", words.duration((run.ended_at - run.started_at).total_seconds()), "From start to end"))
    if isinstance(run.spec, engine.datasets.DownloadSpec) and (wanted := engine.datasets.DOWNLOADS.get(run.spec.key)):
        cells.append(("Size", words.size(wanted.bytes), "Of the downloaded file"))
    _grid(cells, 130)
    if run.metrics:
        st.markdown("**Test metrics**")
        _grid([_metric(key, run.metrics[key]) for key in METRICS if key in run.metrics], 150)


def _metric(key: str, value: float) -> tuple[str, str, str]:
    """A test metric's label with its arrow, the value, and the description."""
    metric = engine.specs.METRICS[key]
    arrow, better = words.DIRECTIONS[metric.better]
    return f"{metric.label} {arrow}", words.number(value), f"{metric.description} {better}"


def _grid(cells: list[tuple[str, str, str]], width: int) -> None:
    grid = st.grid(min_column_width=width, gap="small")
    for label, value, tooltip in cells:
        grid.metric(label, value, help=tooltip)


def training_curves(run_id: str, history: pd.DataFrame, step: str = "epoch") -> None:
    """Training loss by step, where there is one; the validation metrics by epoch, or by what else they are measured after."""
    if history.empty:
        return
    measured = set(history["metric"].unique())
    left, right = st.columns(2) if "train_loss" in measured else (None, st.container())
    if left is not None:
        with left:
            st.markdown("**Training loss**")
            figure = charts.loss_curve(history, "train_loss", "step", "training loss")
            charts.show(figure, f"Training loss over {words.count(history['step'].max())} steps", key=f"loss.{run_id}")
    valid = {key: f"valid_{key}" for key in engine.specs.METRICS if f"valid_{key}" in measured}
    with right:
        if not valid:
            st.markdown("**Validation**")
            st.caption("The first validation runs at the end of the first epoch.")
            return
        chosen = st.selectbox(
            "Validation metric",
            list(valid),
            format_func=lambda key: engine.specs.METRICS[key].label,
            key=f"valid.{run_id}",
            label_visibility="collapsed",
            width=220,
        )
        key = chosen or next(iter(valid))
        label = engine.specs.METRICS[key].label
        part = history[history["metric"] == valid[key]].assign(contender="run")
        figure = charts.curves(part, {"run": (label, compare.look(0))}, "epoch", f"{label} (validation)", height=260)
        figure.update_xaxes(title_text=step)
        charts.show(figure, f"{label} on validation over {len(part)} {step}s", key=f"validation.{run_id}.{key}")
