"""Fixtures of the page tests: a fake engine in place of the real one, and a browser-less visit to a page."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.pages.fake import FakeEngine
from tests.records import dataset, run

APP = Path(__file__).parents[2] / "ui" / "app.py"


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """Streamlit looks through every installed package for components at each AppTest, which takes longer than most pages: once will do."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """An empty workbench."""
    found = FakeEngine()
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(tmp_path))
    found.install(lambda owner, name, value: monkeypatch.setattr(owner, name, value, raising=False))
    st.cache_data.clear()
    st.cache_resource.clear()
    return found


@pytest.fixture
def trained(fake: FakeEngine) -> FakeEngine:
    """A workbench with a dataset and a finished run of each model."""
    fake.datasets = [dataset()]
    fake.runs = [run("a"), run("d", "dlrm")]
    return fake


@pytest.fixture
def visit(fake: FakeEngine) -> Callable[..., AppTest]:
    """Open a page by its file name and query parameters, and fail on any exception."""

    def opened(page: str, **query: str) -> AppTest:
        at = AppTest.from_file(APP, default_timeout=20)
        if page != "home":
            at.run()  # registers the pages
            at.switch_page(f"{page}/page.py")
        for name, value in query.items():
            at.query_params[name] = value
        at.run()
        assert not at.exception, at.exception
        return at

    return opened


@pytest.fixture
def says() -> Callable[[AppTest], str]:
    """Everything a page says, as one text."""

    def told(at: AppTest) -> str:
        kinds = (at.markdown, at.caption, at.title, at.subheader, at.error, at.warning, at.info, at.success, at.html, at.text)
        labels = [element.label for element in at.get("page_link")]
        return "\n".join([str(getattr(element, "value", "")) for kind in kinds for element in kind] + labels)

    return told
