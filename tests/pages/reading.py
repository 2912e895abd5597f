"""What tests read off a page that was opened without a browser."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from engine import runs
from tests.workspace import Workspace

APP = Path(__file__).parents[2] / "ui" / "app.py"
Visit = Callable[..., AppTest]
Says = Callable[[AppTest], str]


def opened(page: str, **query: str) -> AppTest:
    """A page as a new tab has it, by its address: the name of its folder, and query parameters. Fails on any exception."""
    at = AppTest.from_file(APP, default_timeout=60)
    if page != "home":
        at._page_hash = calc_hash(page)  # as a browser asks for a page; `switch_page` would need a drawing of the home page before
    for name, value in query.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception, at.exception
    assert page == "home" or at._finished_page_script_hash == at._page_hash, f"there is no page {page}"
    return at


def foreign_markup(at: AppTest) -> list[str]:
    """Parts of HOSTILE that a browser would take for markup."""
    markdown = "".join(e.value for kind in (at.markdown, at.caption, at.header, at.error, at.warning) for e in kind)
    markdown += "".join(e.label for e in at.get("page_link"))
    found = re.findall(r"(?<!\\)(<img|\]\(http|:red\[|\*\*Bold)", markdown)
    return found + re.findall("<img", "".join(e.value for e in at.html))


def links(at: AppTest) -> list[str]:
    return [element.label for element in at.get("page_link")]


def labelled(elements: Any, label: str) -> Any:
    """The element of a kind whose label begins so."""
    return next(element for element in elements if element.label.startswith(label))


def button(at: AppTest, label: str) -> Any:
    return next(element for element in at.button if element.label == label)


def plainly(said: str) -> str:
    """A text without what keeps Markdown from reading it."""
    return said.replace("\\", "").replace("\u2060", "")


def ticked(at: AppTest, workspace: Workspace, *names: str, clicked: str | None = None) -> AppTest:
    """The Runs page after some rows were ticked, and a cell of one was clicked."""
    ids = [run.run_id for run in runs.list_runs()]
    cells = [[ids.index(workspace.runs[clicked]), "Run"]] if clicked else []
    rows = sorted(ids.index(workspace.runs[name]) for name in names)
    at.session_state[at.dataframe[0].key] = {"selection": {"rows": rows, "columns": [], "cells": cells}}
    at.run()
    assert not at.exception, at.exception
    return at
