"""Where interactions come from: a source of the registry, downloaded, uploaded or named by its path."""

import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import streamlit as st

import engine
from ui.runs import live as runview
from ui.shared import address, forms, states, words

UPLOADS = {"criteo": ["txt", "csv", "tsv", "gz"], "table": ["csv", "tsv", "txt", "json", "jsonl", "parquet", "gz", "zip"]}
TABLE = "table"  # the source whose columns a person maps


def pick() -> str:
    """The kind of source, bound to ?source=."""
    kinds = sorted(engine.sources.SOURCES, key=lambda kind: (kind != "sample", kind != TABLE))  # made data first, then one's own
    asked = address.value("source")
    ready = [name for name, spec in engine.sources.SOURCES.items() if not any(field.is_required() for field in spec.model_fields.values())]
    last = st.session_state.get("data.source.last")  # of this tab, before a look at another page
    usual = next(kind for kind in (asked, last, "sample", *ready, kinds[0]) if kind in kinds)
    address.seed("data.source", "source", usual)
    kind = st.radio(
        "Where do the interactions come from?",
        kinds,
        format_func=name_of,
        captions=[words.md(engine.sources.SOURCES[kind].description, 200) for kind in kinds],
        key="data.source",
    )
    address.remember("data.source", "source", kind)
    st.session_state["data.source.last"] = kind
    return kind or kinds[0]


def name_of(kind: str | None) -> str:
    """The name people say of a source kind."""
    found = engine.sources.SOURCES.get(kind or "")
    return found.label if found else (kind or words.DASH)


def fields(kind: str, key: str) -> dict[str, Any]:
    """The source's raw fields with its kind; a download or an upload becomes its path. For every source but a table."""
    source = engine.sources.SOURCES[kind]
    takes_file = "path" in source.model_fields
    if takes_file:
        downloads(kind, f"{key}.path")
        upload(f"{key}.path", UPLOADS.get(kind, ["zip"]))
    return {"kind": kind} | forms.inputs(source, key, columns=1 if takes_file else 2)


def upload(path_key: str, kinds: list[str], label: str = "Upload") -> None:
    """Take a file of at most 200 MB into the workspace and name it as the path; larger ones are named by their path."""
    turn = st.session_state.get(f"{path_key}.turn", 0)
    with st.expander(label, icon=":material/upload_file:", key=f"{path_key}.uploading"):
        st.file_uploader(
            f"{', '.join(kinds)}; at most 200 MB. Larger ones: put them on this machine and name their path.",
            type=kinds,
            max_upload_size=200,
            key=f"{path_key}.upload.{turn}",
            on_change=_keep,
            args=(path_key, f"{path_key}.upload.{turn}"),
        )
    if refused := st.session_state.pop(f"{path_key}.refused", None):
        st.error(words.md(refused, 600), icon=":material/error:", title="Not taken")


def _keep(path_key: str, key: str) -> None:
    sent = st.session_state.get(key)
    if sent is None:
        return
    try:
        st.session_state[path_key] = str(engine.tables.keep_upload(sent.name, sent))
    except (ValueError, OSError) as error:
        st.session_state[f"{path_key}.refused"] = str(error)
    st.session_state[f"{path_key}.turn"] = st.session_state.get(f"{path_key}.turn", 0) + 1  # a fresh uploader: the bytes are let go


def downloads(kind: str, path_key: str) -> None:
    """Public data sets of this source: one button each; when one has come, its path is filled in."""
    offered = [found for found in engine.datasets.DOWNLOADS.values() if found.source_kind == kind]
    if not offered:
        return
    live = {
        run.spec.key: run.run_id
        for run in engine.runs.list_runs(kind="download", limit=20)
        if run.live and isinstance(run.spec, engine.datasets.DownloadSpec)
    }
    wanted = st.session_state.get(f"{path_key}.wanted")
    if wanted and wanted[0] not in live and (path := engine.datasets.downloaded(wanted[0])):
        st.session_state[path_key] = str(path)
        del st.session_state[f"{path_key}.wanted"]
        wanted = None
    named = bool(st.session_state.get(path_key))
    with st.expander("Download", icon=":material/download:", expanded=not named or bool(live), key=f"{path_key}.downloads"):
        for found in offered:
            _offer(found, path_key, live.get(found.key) or (wanted[1] if wanted and wanted[0] == found.key else None))
        for license_ in dict.fromkeys(found.license for found in offered):
            of = [found.title for found in offered if found.license == license_]
            who = f"{', '.join(of)}: " if len(of) < len(offered) else ""
            st.caption(f":material/license: {words.md(who + license_, 500)}")


def _offer(found: Any, path_key: str, run_id: str | None) -> None:
    """One data set: take it, fetch it, or watch it come."""
    here = engine.datasets.downloaded(found.key)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"{words.md(found.title)} :gray[{words.size(found.bytes)}]", width="content")
        if here:
            chosen = st.session_state.get(path_key) == str(here)
            label, icon = ("In use", ":material/check:") if chosen else ("Use", ":material/folder_open:")
            st.button(label, icon=icon, disabled=chosen, key=f"use.{found.key}", on_click=_use, args=(path_key, str(here)))
        elif run_id is None or not _live(run_id):
            st.button("Download", icon=":material/download:", key=f"get.{found.key}", on_click=_fetch, args=(found.key, path_key))
        elif not states.is_in(engine.runs.get_run(run_id), "CANCELLING"):
            st.button("Cancel", icon=":material/stop_circle:", key=f"stop.{found.key}", on_click=engine.runs.cancel_request, args=(run_id,))
    if run_id is not None and not here:
        runview.watch([run_id])


def _live(run_id: str) -> bool:
    with contextlib.suppress(LookupError):
        return bool(engine.runs.get_run(run_id).live)
    return False


def _use(path_key: str, path: str) -> None:
    st.session_state[path_key] = path


def _fetch(key: str, path_key: str) -> None:
    try:
        run_id = engine.runs.submit(engine.datasets.DownloadSpec(key=key), key=uuid.uuid4().hex)
    except (LookupError, ValueError, OSError) as error:
        st.session_state[f"{path_key}.refused"] = str(error)
        return
    st.session_state[f"{path_key}.wanted"] = (key, run_id)


@st.cache_data(max_entries=32, ttl=900, show_spinner="Looking at the source …")
def notes(key: str, _source: Any) -> tuple[str, ...]:
    """What a person should know of a source."""
    return tuple(_source.notes())


@st.cache_resource(max_entries=2, ttl=3600, show_spinner="Reading the rows …")
def rows(key: str, _source: Any) -> Any:
    """The source's first rows, read once for all rules tried on them; shared, so nobody may change them.

    Args:
        key: the source as JSON: what its frame is remembered by, for frames themselves are hashed by sample.
    """
    return engine.preview.preview_rows(_source)


@st.cache_data(max_entries=16, ttl=3600, show_spinner="Auditing the rows under these rules …")
def preview(key: str, _spec: Any, _rows: Any) -> Any:
    """The audit of the rows under the rules of a spec; `key` is the spec as JSON."""
    return engine.preview.preview(_spec, rows=_rows)


def forget() -> None:
    """Read everything again: a file may have changed under its name."""
    part: Callable[[], None]
    for part in (rows.clear, preview.clear, notes.clear):
        part()
