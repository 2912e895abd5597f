"""Exports of lists for many users: the form, the progress, and the files."""

import uuid
from typing import Any

import streamlit as st

import engine
from engine.runs import ListExport, Run
from ui.runs import live, table
from ui.shared import layout, states, words

WHOM = {"all": "All users", "test": "Test users", "chosen": "Chosen users"}
HELP = {
    "all": "All users of the dataset, including those not seen in training",
    "test": "The users that metrics are measured on",
    "chosen": "Ids as in the source data",
}
BIGGEST = 200 << 20  # bytes of a file that goes through the browser
SHOWN = 5
MIME = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}


def section(contenders: list[Run]) -> None:
    """A popover that starts an export and lists past ones; running exports are shown above it."""
    ids = [run.run_id for run in contenders]
    exports = engine.runs.list_exports(ids)
    if any(export.run.live for export in exports):
        layout.live(lambda: _under_way(ids), active=True, seconds=1.0)
    with st.popover("Export lists", icon=":material/download:"):
        _form(contenders)
        past = [export for export in exports if not export.run.live]
        if past:
            st.markdown("**Past exports**")
        for export in past[:SHOWN]:
            _past(export)
        if len(past) > SHOWN:
            st.page_link("runs/page.py", label=f"{len(past) - SHOWN} more on the Runs page", icon=":material/list:")


def _form(contenders: list[Run]) -> None:
    short = words.short_names({run.run_id: run.title for run in contenders})
    st.caption("Each user's top items as Parquet and CSV. It continues when this page is closed.")
    run_id = contenders[0].run_id
    if len(contenders) > 1:
        run_id = st.selectbox("Contender", list(short), format_func=lambda one: words.plain(short[one], 80), key="batches.run") or run_id
    left, right = st.columns([1, 2])
    k = left.number_input("Items each, k", 1, 10_000, 10, key="batches.k")
    whom = (
        right.segmented_control("For", list(WHOM), default="all", format_func=lambda one: WHOM[one], key="batches.whom", required=True)
        or "all"
    )
    st.caption(HELP[whom])
    ids = _ids() if whom == "chosen" else whom
    spec = next(run for run in contenders if run.run_id == run_id).spec
    seen = spec.protocol.exclude_seen if isinstance(spec, engine.specs.RunSpec) else True
    exclude = st.toggle("Exclude items seen before", seen, key=f"batches.exclude.{run_id}")
    if st.button("Export", type="primary", icon=":material/play_arrow:", key="batches.start", disabled=not ids):
        try:
            key = st.session_state.setdefault("batches.nonce", uuid.uuid4().hex)
            engine.runs.export_lists(run_id, int(k), ids, exclude_seen=exclude, key=key)
        except (LookupError, ValueError, OSError) as error:
            st.error(words.md(error.args[0] if error.args else error, 600), icon=":material/error:", title="Not exported")
            return
        del st.session_state["batches.nonce"]  # the next click is another export
        st.rerun()


def _ids() -> list[str]:
    """The ids that were pasted or uploaded; empty where there are none or they cannot be read."""
    pasted = st.text_area("User ids, one a line", height=100, key="batches.ids")
    file = st.file_uploader("Or a text file or CSV with the ids first", type=["txt", "csv"], key="batches.file")
    try:
        text = file.getvalue().decode("utf-8-sig") if file is not None else pasted
        ids = engine.runs.read_ids(text)
    except ValueError as error:
        message = "The file is not UTF-8 text; save it as UTF-8." if isinstance(error, UnicodeDecodeError) else error
        st.error(words.md(message, 400), icon=":material/error:")
        return []
    if ids:
        st.caption(f"{words.count(len(ids))} {'line' if len(ids) == 1 else 'lines'} of ids")
    return ids


def _under_way(ids: list[str]) -> bool:
    """Each live export with its progress and a cancel button; returns whether there is any."""
    running = [export.run for export in engine.runs.list_exports(ids) if export.run.live]
    for run in running:
        left, right = st.columns([5, 1], vertical_alignment="center")
        with left:
            live.line(run)
        with right:
            table.cancel(run)
    return bool(running)


def _past(export: ListExport) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            states.badge(export.run)
            st.markdown(words.md(export.run.title, 80), width="content")
            st.caption(words.ago(export.run.submitted_at), width="content")
        files(export)


def files(export: ListExport) -> None:
    """A finished export's content, folder and files, as far as a browser can download them; else why there are none."""
    if not export.files:
        moved = "Its folder no longer exists."
        st.caption(moved if states.is_in(export.run, "FINISHED") else words.md(export.run.message or "Nothing was written.", 400))
        return
    st.caption(summary(export.facts))
    st.code(str(export.folder), language=None, wrap_lines=True)
    with st.container(horizontal=True):
        for path in export.files:
            size = path.stat().st_size
            if size > BIGGEST:
                st.caption(f"{path.name} has {words.size(size)}: copy it from the folder.")
                continue
            st.download_button(
                f"{path.name} ({words.size(size)})",
                path.read_bytes,
                file_name=f"top{export.facts['k']}-{export.run.run_id[:6]}{path.suffix}",
                mime=MIME[path.suffix],
                icon=":material/download:",
                key=f"batches.{export.run.run_id}.{path.name}",
                on_click="ignore",
            )


def summary(facts: dict[str, Any]) -> str:
    """Markdown: rows and users written, and users without rows or not seen in training."""
    parts = [f"{words.count(facts['rows'])} rows for {words.count(facts['users'])} users"]
    if facts.get("without_items"):
        parts.append(f"{words.count(facts['without_items'])} of them have seen every item and have no rows")
    if facts.get("unknown_to_train"):
        parts.append(f"{words.count(facts['unknown_to_train'])} were not seen in training")
    parts.append("items seen before excluded" if facts["exclude_seen"] else "items seen before included")
    return ", ".join(parts) + "."
