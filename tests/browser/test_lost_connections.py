"""A connection that drops while somebody launches runs: in a real browser, with real drivers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import engine
from tests import prepared, stores
from tests.browser import test_walk as walk

pytestmark = [*walk.pytestmark, pytest.mark.thorough]
SOCKETS = """
const Real = WebSocket;
window.sockets = [];
window.WebSocket = class extends Real { constructor(...given) { super(...given); window.sockets.push(this); } };
"""
CONNECTED = "window.sockets.some(one => one.readyState === 1)"


@pytest.fixture
def films(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A prepared dataset in a workspace that a server of this test and the test itself share."""
    folder = stores.copy(empty_store, tmp_path / "workspace")
    monkeypatch.setenv("RECBENCH_WORKSPACE", str(folder))
    yield prepared.prepare(folder, prepared.films_spec(prepared.write_films(folder / "source")))
    for run in engine.runs.list_runs():
        if run.live:
            engine.runs.cancel(run.run_id)


def drop(page: Page, seconds: float) -> None:
    """Close the page's sockets, and let no other be opened for a time."""
    page.context.set_offline(True)
    page.evaluate("window.sockets.forEach(one => one.close())")
    page.wait_for_timeout(1000 * seconds)
    page.context.set_offline(False)


@pytest.mark.fault("F67", "F13")
def test_a_dropped_connection_comes_back_to_the_same_page_and_launches_nothing_twice(films: str, tmp_path: Path) -> None:
    with walk.serving(tmp_path) as url, walk.browsing(url, tmp_path) as page:
        page.add_init_script(SOCKETS)
        page.goto(f"/train?dataset={films}&models=ease,item_knn")
        launch = page.get_by_role("button", name=re.compile(r"^Launch 2 runs"))
        expect(launch).to_be_enabled()
        drop(page, 8)
        expect(launch).to_be_enabled()
        page.wait_for_function(CONNECTED, timeout=60_000)
        launch.dblclick()
        page.wait_for_timeout(200)
        drop(page, 8)  # while it is under way
        page.wait_for_function(CONNECTED, timeout=60_000)
        page.wait_for_timeout(3000)
        again = page.get_by_role("button", name="Launch the same again")
        if not again.is_visible():  # it was lost, or came half through: whoever does not know clicks once more
            launch.click()
        expect(again).to_be_visible()
        walk.sound(page)
        assert sorted(run.training.model.kind for run in engine.runs.list_runs()) == ["ease", "item_knn"]
        page.reload()
        expect(page.get_by_text("EASE").first).to_be_visible()
        walk.sound(page)
        assert len(engine.runs.list_runs()) == 2
