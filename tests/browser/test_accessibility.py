"""Every page in a real browser, in light and in dark: WCAG 2.2 A and AA by axe-core, tab stops of charts, the width of a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

from tests import stores, workspace
from tests.browser import test_walk as walk
from tests.workspace import Workspace

pytestmark = walk.pytestmark
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "heading-order", "empty-table-header", "page-has-heading-one"]
# Streamlit's own parts that no setting of ours reaches: rule, where, why
STREAMLITS = (
    ("scrollable-region-focusable", '[data-testid="stCode"]', "st.code sets no tabindex; Chromium and Firefox let the keyboard scroll it"),
)
SETTLED = """() => {
  const app = document.querySelector('[data-testid="stApp"]'), state = app && app.getAttribute('data-test-script-state');
  return state && state !== 'running' && state !== 'initial' && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
    && document.querySelector('h1');
}"""
UNFOLDED = """() => { for (const one of document.querySelectorAll('details:not([open]) > summary')) one.click(); }"""
TAB_STOPS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(chart =>
  [...chart.querySelectorAll('a[href], button, input, [tabindex]')]
    .filter(one => one.tabIndex >= 0 && getComputedStyle(one).visibility === 'visible').map(one => one.dataset.title))"""
NOWHERE = """() => [...document.querySelectorAll('[data-testid="stMain"] a[href^="#"]')]
  .map(one => one.getAttribute('href')).filter(link => !document.getElementById(link.slice(1)))"""
INSIDE = "(one, where) => one.closest(where) !== null"
SIDEWAYS = """() => [...document.querySelectorAll('[data-testid="stMain"], [data-testid="stMain"] *')].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && box.right > window.innerWidth + 1
      && !one.closest('.rb-scroll, [data-testid="stDataFrame"], .js-plotly-plot, [data-testid="stCode"]');
  }).map(one => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Workspace]]:
    """The workbench on a copy of the small workspace of the page tests: its address, and what is in it."""
    kept = stores.once(tmp_path_factory, "films", lambda folder: workspace.keep(workspace.build(folder / "workspace"), folder))
    folder = tmp_path_factory.mktemp("served")
    with workspace.held(workspace.copy(workspace.kept(kept), folder / "workspace")) as found, walk.serving(folder) as url:
        yield url, found


def pages(found: Workspace) -> dict[str, str]:
    """The address of each page, in each of its kinds."""
    two, many = found.ids("two_tower", "dlrm"), found.ids("two_tower", "dlrm", "ease", "ials", "item_knn", "popularity")
    return {
        "home": "/", "data": "/data", "a dataset": f"/data?dataset={found.films}", "new data": "/data?view=new",
        "train": f"/train?dataset={found.films}", "plan": f"/plan?dataset={found.films}&hosts=8",
        "runs": "/runs", "a run": f"/runs?run={found.runs['dlrm']}", "system": "/system",
        "a failed run": f"/runs?run={found.runs['failed']}", "help": "/help", "compare": f"/compare?runs={two}",
        "compare six": f"/compare?runs={many}", "recommend": f"/recommend?runs={two}", "vote": f"/recommend?runs={two}&vote=on",
        "new user": f"/recommend?runs={two}&who=new", "similar items": f"/recommend?runs={many}&who=item",
        "registry": "/registry", "wrong": "/runs?run=x",
    }  # fmt: skip


def shown(page: Page, path: str) -> None:
    """Open a page and wait until it is drawn, with all that was folded."""
    page.goto(path)
    page.wait_for_function(SETTLED, timeout=2 * walk.MINUTES)
    page.evaluate(UNFOLDED)
    page.wait_for_timeout(1000)  # charts are drawn, and sections unfolded, after the script has run
    page.wait_for_function(SETTLED, timeout=2 * walk.MINUTES)
    walk.sound(page)


def violations(page: Page) -> list[str]:
    """What axe finds on a page, a line each; found twice, since what is drawn anew is pale for a moment."""
    found = _found(page)
    if not found:
        return []
    page.wait_for_timeout(3000)
    return [one for one in _found(page) if one in found]


def _found(page: Page) -> list[str]:
    found: dict[str, Any] = Axe().run(page, options={"runOnly": [*RULES[:5], "best-practice"]}).response
    return [
        f"{one['id']}: {node['html'][:160]} {(node['any'] or node['all'] or node['none'] or [{'message': ''}])[0]['message'][:160]}"
        for one in found["violations"]
        if one["id"] in RULES or any(tag in RULES for tag in one["tags"])
        for node in one["nodes"]
        if not any(one["id"] == rule and page.locator(node["target"][0]).first.evaluate(INSIDE, where) for rule, where, _ in STREAMLITS)
    ]


WIDE, PHONE = ViewportSize(width=1440, height=1000), ViewportSize(width=400, height=850)


@pytest.mark.parametrize(
    ("theme", "names"),
    [
        ("light", ("home", "new data", "train", "a run", "compare six", "recommend")),  # at a landing: a page of each kind
        pytest.param("light", None, marks=pytest.mark.thorough, id="light-every page"),
        pytest.param("dark", None, marks=pytest.mark.thorough, id="dark-every page"),
    ],
)
def test_no_page_breaks_a_rule_of_wcag_a_chart_is_one_tab_stop_and_a_phone_cuts_nothing(
    films: tuple[str, Workspace], tmp_path: Path, theme: Literal["light", "dark"], names: tuple[str, ...] | None
) -> None:
    url, found = films
    broken: dict[str, list[str]] = {}
    with walk.browsing(url, tmp_path) as page:
        page.emulate_media(color_scheme=theme)
        page.mouse.move(0, 0)  # away from charts, which show their tools to the mouse
        for name, path in pages(found).items():
            if names is not None and name not in names:
                continue
            shown(page, path)
            broken[name] = violations(page)
            broken[name] += [f"tab stops of a chart: {stops}" for stops in page.evaluate(TAB_STOPS) if stops != ["Fullscreen"]]
            broken[name] += [f"a link to nothing: {link}" for link in page.evaluate(NOWHERE)]
            page.set_viewport_size(PHONE)
            page.wait_for_timeout(700)  # charts are drawn anew
            broken[name] += [f"beyond the edge of a phone: {one}" for one in page.evaluate(SIDEWAYS)]
            page.set_viewport_size(WIDE)
    assert {name: lines for name, lines in broken.items() if lines} == {}
