"""Where interactions come from: a source of the registry, downloaded, uploaded or named by its path."""

import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

import engine
from engine.datasets import DatasetSpec, Download
from engine.preview import Preview
from engine.sources import SourceSpec
from ui.runs import live as live_runs
from ui.shared import address, forms, states, words

UPLOADS = {"criteo": ["txt", "csv", "tsv", "gz"], "table": sorted(ending.removeprefix(".") for ending in engine.tables.TABLES)}
TABLE = "table"  # the source whose columns the user maps


def pick() -> str | None:
    """The kind of source, bound to ?source=; None until one is chosen."""
    kinds = sorted(engine.sources.SOURCES, key=lambda kind: (kind != "sample", kind != TABLE))  # generated data first, then one's own
    last = st.session_state.get("data.source.last")  # chosen in this tab before another page was opened
    before = next((kind for kind in (address.value("source"), last) if kind in kinds), None)
    address.seed("data.source", "source", before)
    kind: str | None = st.radio(
        "Where do the interactions come from?",
        kinds,
        format_func=name_of,
        captions=[words.md(engine.sources.SOURCES[kind].description, 200) for kind in kinds],
        key="data.source",
        index=None,
    )
    address.remember("data.source", "source", kind)
    st.session_state["data.source.last"] = kind
    return kind


def name_of(kind: str | None) -> str:
    """What people call a kind of source."""
    source = engine.sources.SOURCES.get(kind or "")
    return source.label if source else (kind or words.DASH)


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
            "At most 200 MB. Larger ones: put them on this machine and name their path.",
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
    st.session_state[f"{path_key}.turn"] = st.session_state.get(f"{path_key}.turn", 0) + 1  # a fresh uploader releases the bytes


def downloads(kind: str, path_key: str) -> None:
    """Public data sets of this source: one button each; when a download has finished, its path is filled in."""
    offered = [offer for offer in engine.datasets.DOWNLOADS.values() if offer.source_kind == kind]
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
        for offer in offered:
            _offer(offer, path_key, live.get(offer.key) or (wanted[1] if wanted and wanted[0] == offer.key else None))
        for license_ in dict.fromkeys(offer.license for offer in offered):
            of = [offer.title for offer in offered if offer.license == license_]
            who = f"{', '.join(of)}: " if len(of) < len(offered) else ""
            st.caption(f":material/license: {words.md(who + license_, 500)}")


def _offer(offer: Download, path_key: str, run_id: str | None) -> None:
    """One data set: use it, download it, or watch the download."""
    here = engine.datasets.downloaded(offer.key)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"{words.md(offer.title)} :gray[{words.size(offer.bytes)}]", width="content")
        if here:
            chosen = st.session_state.get(path_key) == str(here)
            label, icon = ("In use", ":material/check:") if chosen else ("Use", ":material/folder_open:")
            st.button(label, icon=icon, disabled=chosen, key=f"use.{offer.key}", on_click=_use, args=(path_key, str(here)))
        elif run_id is None or not _live(run_id):
            st.button("Download", icon=":material/download:", key=f"get.{offer.key}", on_click=_fetch, args=(offer.key, path_key))
        elif not states.is_in(engine.runs.get_run(run_id), "CANCELLING"):
            st.button("Cancel", icon=":material/stop_circle:", key=f"stop.{offer.key}", on_click=engine.runs.cancel_request, args=(run_id,))
    if run_id is not None and not here:
        live_runs.watch([run_id])


def _live(run_id: str) -> bool:
    with contextlib.suppress(LookupError):
        return engine.runs.get_run(run_id).live
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
def notes(key: str, _source: SourceSpec) -> tuple[str, ...]:
    """What a person should know of a source."""
    return tuple(_source.notes())


@st.cache_resource(max_entries=2, ttl=3600, show_spinner="Reading the rows …")
def rows(key: str, _source: SourceSpec) -> pd.DataFrame:
    """The source's first rows, read once for all rules tried on them. The frame is shared: do not change it.

    Args:
        key: the source as JSON, which identifies the frame in the cache: Streamlit hashes frames by a sample only.
    """
    return engine.preview.preview_rows(_source)


@st.cache_data(max_entries=16, ttl=3600, show_spinner="Auditing the rows under these rules …")
def preview(key: str, _spec: DatasetSpec, _rows: pd.DataFrame) -> Preview:
    """The audit of the rows under the rules of a spec; `key` is the spec as JSON."""
    return engine.preview.preview(_spec, rows=_rows)


def forget() -> None:
    """Read everything again: a file may have changed under its name."""
    part: Callable[[], None]
    for part in (rows.clear, preview.clear, notes.clear):
        part()
