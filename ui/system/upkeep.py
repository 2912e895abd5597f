"""The System page's parts that change something: the support bundle, what dead runs left, the trash."""

import pandas as pd
import streamlit as st

import engine
from engine.upkeep import Orphan, TrashedRun
from ui.shared import tables, words
from ui.system import facts

MOST = 200  # rows of a table
NUMBERED = ("Datasets", "Runs", "Runs in the trash", "Uploads")


def exposure() -> None:
    """A warning where others may enter the workspace, with the command that closes it; nothing is changed."""
    if said := engine.settings.exposure():
        sentence, command, _ = said.split("`")
        st.warning(f"{words.md(sentence, 400)} this command closes it:", icon=":material/lock_open:")
        st.code(command, language="bash")


def disk() -> None:
    """What the workspace takes, by kind."""
    st.header("Disk", anchor=False)
    used = engine.upkeep.disk_use()
    rows = {f"{one.kind} ({words.count(one.number)})" if one.kind in NUMBERED else one.kind: words.size(one.bytes) for one in used}
    rows |= {"Together": words.size(sum(one.bytes for one in used))}
    tables.show(tables.small_table(pd.DataFrame({"": list(rows.values())}, index=list(rows)), left=True))


def datasets() -> None:
    """What each dataset takes, the largest first."""
    used = sorted(engine.upkeep.dataset_bytes().items(), key=lambda one: -one[1])
    if used:
        st.markdown("**Datasets**")
        frame = pd.DataFrame({"": [words.size(size) for _, size in used[:MOST]]}, index=[words.plain(name, 80) for name, _ in used[:MOST]])
        tables.show(tables.small_table(frame, left=True))


def run_store() -> None:
    """Where MLflow's record of the runs is, and how its own pages are opened."""
    st.subheader("MLflow", anchor=False)
    command = facts.mlflow_command()
    if command is None:
        st.caption(f"The runs are recorded by a server: {words.md(engine.specs.mask(engine.settings.settings().store), 300)}.")
        return
    st.caption("The runs are recorded in the run store. This command opens it in MLflow's own pages, at port 5000:")
    st.code(command, language="bash", wrap_lines=True)


def orphans() -> None:
    """What dead runs left, with a button that removes it."""
    st.header("Left by dead runs", anchor=False)
    if cleared := st.session_state.pop("system.swept", None):
        st.success(cleared, icon=":material/mop:")
    found = engine.upkeep.orphans()
    if not found:
        st.caption("No process, temporary file or shared memory of a run that is over.")
        return
    tables.show(tables.small_table(_of_orphans(found), left=True))
    if st.button("End and remove them", icon=":material/mop:", key="system.sweep"):
        left = engine.upkeep.sweep_orphans()
        stays = f" {words.count(len(left))} stay: they belong to another user." if left else ""
        st.session_state["system.swept"] = f"{words.count(max(0, len(found) - len(left)))} leftovers of dead runs were removed.{stays}"
        st.rerun()


def _of_orphans(found: list[Orphan]) -> pd.DataFrame:
    shown = found[:MOST]
    says = [f"{words.plain(one.what, 90)} · {words.size(one.bytes)}" for one in shown]
    return pd.DataFrame({"": says}, index=[one.kind.capitalize() for one in shown])


def trash() -> None:
    """Runs in the trash with their sizes; those that are chosen are deleted for good after a confirmation."""
    st.header("Trash", anchor=False)
    if said := st.session_state.pop("system.deleted", None):
        st.success(said, icon=":material/delete_forever:")
    found = engine.upkeep.trashed_runs()
    if not found:
        st.caption("No run is in the trash. *Runs → Trash* puts one there.")
        return
    st.caption(f"{words.count(len(found))} runs, {words.size(sum(one.bytes for one in found))}. A run that another one needs stays.")
    names = {one.run.run_id: f"{words.plain(one.run.title, 80)} · {words.size(one.bytes)}" for one in found}
    may = [one.run.run_id for one in found if one.kept_because is None]
    chosen = st.multiselect("Runs to delete", may, format_func=lambda run_id: names[run_id], key="system.trash")
    for one in (one for one in found if one.kept_because is not None):
        st.caption(f"{words.md(names[one.run.run_id], 120)} stays: {words.md(one.kept_because, 200)}.")
    with st.popover("Delete for good", icon=":material/delete_forever:", disabled=not chosen):
        _confirm([one for one in found if one.run.run_id in chosen])


def _confirm(chosen: list[TrashedRun]) -> None:
    size = words.size(sum(one.bytes for one in chosen))
    st.markdown(f"Delete {words.count(len(chosen))} runs with their models, results and artifacts, {size}? This cannot be undone.")
    if st.button("Yes, delete them", type="primary", key="system.delete"):
        deleted = engine.upkeep.delete_trashed([one.run.run_id for one in chosen])
        kept = "".join(f" {words.md(title, 80)} stays: {words.md(why, 200)}." for title, why in deleted.kept)
        st.session_state["system.deleted"] = (
            f"{words.count(len(deleted.run_ids))} runs were deleted, {words.size(deleted.bytes)} are free again.{kept}"
        )
        st.session_state.pop("system.trash", None)
        st.rerun()


def support() -> None:
    """A zip for a report of a fault, made when it is asked for."""
    st.header("Support bundle", anchor=False)
    st.caption(
        "For a report of a fault: specs, ends of logs, errors and verdicts of runs, versions, facts of this machine. No data, no model. "
        "Passwords and keys are masked; names of datasets, columns and folders are in it."
    )
    runs = engine.runs.list_runs(limit=MOST)
    titles = {run.run_id: f"{words.plain(run.title, 80)} · {words.ago(run.submitted_at)}" for run in runs}
    newest = f"The newest {engine.upkeep.NEWEST} runs"
    chosen = st.multiselect("Runs", list(titles), format_func=lambda run_id: titles[run_id], placeholder=newest, key="system.support")
    st.download_button(
        "Download the bundle", lambda: engine.upkeep.support_bundle(chosen or None), "recbench-support.zip", "application/zip",
        icon=":material/medical_information:", on_click="ignore",
    )  # fmt: skip
