"""The Runs page's parts: the live table, the actions on a run, its settings."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine.runs import Run
from ui.registry import offer
from ui.runs import annotations, launch
from ui.runs.leaves import leaves
from ui.runs.rows import Rows, pick_rows
from ui.shared import address, layout, picker, states, tables, words

KINDS = {"prepare": "Preparation", "download": "Download", "export": "Lists export", "features": "Test of features"}
STOP = {
    "download": "Stop this download? What has been downloaded is kept, and the next download resumes from there.",
    "prepare": "Stop this preparation? Its work so far is discarded.",
    "export": "Stop this export? Its files so far are discarded.",
    "features": "Stop this test of features? What it has measured so far is discarded.",
}
TICKED = "runs.ticked"  # in the session: the ids of the runs that are ticked, in the order of the table
CHIPS = {look.label: look.color for look in states.LOOKS.values()}


def table(selected: str | None) -> list[str]:
    """All runs, refreshed while one is live; ?run= records the one that is open. Returns the ids of those that are ticked."""
    grouped = _grouping()

    def draw() -> bool:
        runs = engine.runs.list_runs()
        ticked, opened = pick_rows(_groups(runs, grouped), "runs.table", "run", _columns())
        before = st.session_state.get(TICKED, ticked)
        st.session_state[TICKED] = ticked
        if opened != selected or ticked != before:
            st.rerun()
        return any(run.live for run in runs)

    layout.live(draw, any(run.live for run in engine.runs.list_runs()), seconds=2.0)
    return list(st.session_state.get(TICKED, []))


def _grouping() -> bool:
    """Whether there is a table for each dataset; bound to ?group=."""
    address.seed("runs.group", "group", address.value("group") == "dataset")
    grouped = st.toggle("Group by dataset", key="runs.group")
    address.remember("runs.group", "group", "dataset" if grouped else None)
    return grouped


def _groups(runs: list[Run], grouped: bool) -> list[Rows]:
    """A table for each dataset, that of the newest run first; or a single one."""
    if not grouped:
        return [Rows("", _frame(runs), [run.run_id for run in runs])]
    of: dict[str, list[Run]] = {}
    for run in runs:
        of.setdefault(run.dataset or "", []).append(run)
    names = {dataset: some[0].dataset_name or "Without a dataset" for dataset, some in of.items()}
    twice = [name for name in names.values() if list(names.values()).count(name) > 1]
    for dataset, name in names.items():
        names[dataset] = f"{name} · {dataset.rsplit('-', 1)[-1][:6]}" if name in twice else name
    return [Rows(names[key], _frame(some).drop(columns="Dataset"), [run.run_id for run in some]) for key, some in of.items()]


def _frame(runs: list[Run]) -> pd.DataFrame:
    rows, titles, now = [], picker.titles(runs), datetime.now(UTC)
    for run in runs:
        model = engine.specs.MODELS.get(run.model or "")
        until = now if run.live else run.ended_at
        took = (until - run.started_at).total_seconds() if run.started_at and until else None
        rows.append(
            {
                "State": [states.look(run.state).label],
                "Run": words.plain(titles[run.run_id], 80) + (" · pinned" if run.pinned else ""),
                "Tags": ", ".join(words.plain(one, 40) for one in run.tags),
                "Owner": words.plain(run.owner.user or words.DASH, 40),
                "Kind": model.label if model else KINDS.get(run.kind, words.DASH),
                "Dataset": words.plain(run.dataset_name or words.DASH, 40),
                "Phase": states.phase(run),
                "Progress": round(run.progress.share if run.progress else 0.0, 2) if run.live else None,
                "Elapsed": words.duration(took) if took is not None else "",
                "Time left": words.left(run.progress.eta_s) if run.live and run.progress else "",
                "NDCG@10": run.metrics.get("ndcg_at_10"),
                "AUC": run.metrics.get("auc"),
                "Submitted": words.ago(run.submitted_at),
            }
        )
    frame = pd.DataFrame(rows)
    without = [] if any(run.live for run in runs) else ["Phase", "Progress", "Time left"]
    without += [] if any(run.tags for run in runs) else ["Tags"]
    without += [] if any(not run.owner.is_me for run in runs) else ["Owner"]
    return frame.drop(columns=without)


def _columns() -> dict[str, Any]:
    metric = engine.specs.METRICS
    return {
        "State": st.column_config.MultiselectColumn(options=list(CHIPS), color=list(CHIPS.values()), width=105),
        "Run": st.column_config.TextColumn(width=260),
        "Tags": st.column_config.TextColumn(width=150),
        "Phase": st.column_config.TextColumn(width=170),
        "Elapsed": st.column_config.TextColumn(help="From the start, without the time in the queue, to the end or until now"),
        "Progress": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0, width=110),
        "NDCG@10": st.column_config.NumberColumn(format="%.3f", help=metric["ndcg_at_10"].description),
        "AUC": st.column_config.NumberColumn(format="%.3f", help=metric["auc"].description),
    }


def actions(run: Run, runs: list[Run]) -> None:
    """The actions on a run: cancel, repeat, compare, open its result, annotate, move to the trash."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.live:
            cancel(run)
        if states.is_in(run, "FINISHED") and run.kind == "train":
            beside = _beside(run)
            st.page_link("compare/page.py", label="Compare", icon=":material/balance:", query_params={"runs": ",".join(beside)})
            st.page_link("recommend/page.py", label="Recommend", icon=":material/recommend:", query_params={"runs": ",".join(beside)})
        if run.kind == "train" and states.is_in(run, "FAILED", "CANCELLED", "INTERRUPTED"):
            launch.resume(run)
        if run.kind == "train" and not run.live:
            st.page_link("train/page.py", label="Train again", icon=":material/replay:", query_params=_repeat(run))
        if states.is_in(run, "FINISHED") and run.kind == "prepare" and run.dataset:
            st.page_link("data/page.py", label="See the dataset", icon=":material/table:", query_params={"dataset": run.dataset})
            st.page_link("train/page.py", label="Train on it", icon=":material/model_training:", query_params={"dataset": run.dataset})
        if run.kind == "download" and not run.live:
            st.page_link("data/page.py", label="Open the sources", icon=":material/table:", query_params={"view": "new"})
        if run.kind == "prepare" and states.is_in(run, "FAILED", "CANCELLED", "INTERRUPTED"):
            st.page_link("data/page.py", label="Prepare again", icon=":material/replay:", query_params={"view": "new"})
        annotations.edit(run, runs)
        if states.is_in(run, "FINISHED") and run.kind == "train":
            annotations.pin(run)
            offer.offer({run.run_id: run.title}, key="runs.register")
        annotations.throw(run, runs)


def can_continue(run: Run) -> bool:
    """Whether it is an ended run of a network with weights, which a new run can train for more epochs."""
    return not run.live and has_ranks(run) and (states.is_in(run, "FINISHED") or engine.runs.has_checkpoint(run.run_id))


def cancel(run: Run) -> None:
    """A popover that stops a live run."""
    if states.is_in(run, "CANCELLING"):
        st.caption("Cancelling: ending its processes.")
        return
    with st.popover("Stop", icon=":material/stop_circle:"):
        if not annotations.allowed(engine.runs.why_not_stopped(run), f"cancel.force.{run.run_id}", "Stop it all the same"):
            return
        if keeps(run):
            st.markdown("Stop this run? Its processes end. What it has learnt can be kept, and resumed.")
            if st.button(
                "Stop and keep", type="primary", key=f"keep.stop.{run.run_id}", help="Write a checkpoint first; Resume goes on from it."
            ):
                _request(run, keep=True)
            if st.button("Stop and discard", key=f"cancel.{run.run_id}", help="End at once, and remove its checkpoints."):
                _request(run, keep=False)
            return
        st.markdown(STOP.get(run.kind, "Stop this run? Its processes end and its training so far is discarded."))
        if st.button("Stop the run", type="primary", key=f"cancel.{run.run_id}"):
            _request(run, keep=False)


def _request(run: Run, keep: bool) -> None:
    engine.runs.cancel_request(run.run_id, keep, force=True)  # it was confirmed where that is needed
    st.rerun()


def keeps(run: Run) -> bool:
    """Whether what it has learnt can be kept when it is stopped."""
    model = engine.specs.MODELS.get(run.model or "")
    return run.kind == "train" and model is not None and model.keeps


def has_ranks(run: Run) -> bool:
    """Whether it is a training of a network, which has checkpoints."""
    model = engine.specs.MODELS.get(run.model or "")
    return run.kind == "train" and model is not None and issubclass(model, engine.specs.NetworkSpec)


def _beside(run: Run) -> list[str]:
    """The run and the newest finished run of another model on its dataset."""
    others = [other for other in picker.finished(run.dataset) if other.run_id != run.run_id]
    rivals = [other for other in others if other.model != run.model] or others
    return [run.run_id, *(other.run_id for other in rivals[:1])]


def _repeat(run: Run) -> dict[str, str]:
    return {"from": run.run_id} | ({"dataset": run.dataset} if run.dataset else {})


def settings(run: Run) -> None:
    """The run's settings, as stored at launch."""
    with st.expander("Settings", icon=":material/tune:", key=f"settings.{run.run_id}"):
        _continues(run)
        if run.unreadable:
            st.caption(words.md(run.unreadable, 600))
        stored = leaves({name: value for name, value in run.settings.items() if name != "continues"})
        frame = pd.DataFrame({"value": [words.plain(value) for value in stored.values()]}, index=list(stored))
        left, right = st.columns(2, gap="large")
        with left:
            tables.show(tables.small_table(frame, "setting", left=True))
        with right:
            st.json(run.settings, expanded=True)
    address.remember(None, "run", run.run_id)


def _continues(run: Run) -> None:
    """A link to the run that this one continues."""
    before = run.settings.get("continues")
    if not before:
        return
    try:
        title = engine.runs.get_run(before).title
    except LookupError:
        st.caption(f"Continues run {words.md(before)}, which is no longer in this workspace.")
        return
    query = {"run": before}
    st.page_link("runs/page.py", label=f"Continues {words.md(title, 80)}", icon=":material/fast_forward:", query_params=query)
