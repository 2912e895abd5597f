"""Fixtures of the page tests: a small real workspace, drivers that wait, and a visit to a page without a browser."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from engine import runs
from engine.runs import processes
from tests import stores, workspace
from tests.pages.reading import Says, Visit, opened
from tests.workspace import Workspace

WAITS = "#!/bin/sh\nexec sleep 600\n"


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """Streamlit looks through every installed package for components at each AppTest, which takes longer than most pages: once will do."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The workspace that all tests of a worker share; nothing may write to it."""
    kept = stores.once(tmp_path_factory, "films", lambda folder: workspace.keep(workspace.build(folder / "workspace"), folder))
    with workspace.held(workspace.copy(workspace.kept(kept), tmp_path_factory.mktemp("built") / "workspace")) as found:
        yield found


@pytest.fixture(scope="session")
def bare(empty_store: Path) -> Workspace:
    """A workspace with an empty store."""
    return Workspace(empty_store, "", "", {})


_drawn: Path | None = None  # the workspace that Streamlit's caches are of


def _in(found: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Enter a workspace; what pages cached of another is forgotten, since runs of copies have the same ids."""
    global _drawn
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(found.folder))
    if found.folder != _drawn:
        st.cache_data.clear()
        st.cache_resource.clear()
    _drawn = found.folder
    return found


@pytest.fixture
def shared(built: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of all tests, to read: films, a finished run of each model, a run in each other state."""
    return _in(built, monkeypatch)


@pytest.fixture
def own(built: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A copy of that workspace, to write to."""
    with workspace.held(workspace.copy(built, tmp_path / "workspace")) as found:
        yield _in(found, monkeypatch)


@pytest.fixture
def empty(bare: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which nothing was done yet."""
    return _in(workspace.copy(bare, tmp_path / "workspace"), monkeypatch)


@pytest.fixture
def drivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Launched runs get a process that holds their lock and their token, as a driver does, and waits: nothing is computed."""
    waits = tmp_path / "driver"
    waits.write_text(WAITS)
    waits.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(waits))
    yield
    for one in runs.list_runs():
        if one.live:
            processes.sweep(one.run_id)


@pytest.fixture
def visit() -> Visit:
    """Open a page by its address: its name and query parameters."""
    return opened


@pytest.fixture
def says() -> Says:
    """Everything a page says, as one text."""

    def everything(at: AppTest) -> str:
        kinds = (at.markdown, at.caption, at.title, at.header, at.error, at.warning, at.info, at.success, at.html, at.text)
        labels = [element.label for element in at.get("page_link")]
        return "\n".join([str(getattr(element, "value", "")) for kind in kinds for element in kind] + labels)

    return everything
