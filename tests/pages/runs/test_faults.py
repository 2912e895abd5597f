"""The Runs page while a run trains: any number of tabs see the same, and what a run printed is text."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.reading import Says, Visit, foreign_markup, links, plainly
from tests.records import HOSTILE
from tests.workspace import Workspace
from workers.run import Journal


def shown(at: AppTest) -> tuple[str, str, list[str]]:
    """Progress, log and the points of the curves."""
    assert not at.exception
    return plainly(at.get("progress")[0].proto.text), at.code[0].value, [chart.proto.spec for chart in at.get("plotly_chart")]


@pytest.mark.fault("F01")
def test_every_tab_shows_the_same_progress_curve_and_log_of_a_live_run(own: Workspace, visit: Visit) -> None:
    journal = Journal(own.path("running"))
    for step in range(1, 43):
        journal.metrics({"train_loss": 1 / step}, step=step, epoch=1 + step // 20, rows=8 * step)
    first = visit("runs", run=own.runs["running"])
    told, log, curves = shown(first)
    assert told.startswith("Running 42 %") and "epoch 1 of 10" in log and len(curves) == 1
    assert shown(visit("runs", run=own.runs["running"])) == (told, log, curves), "a second tab"
    journal.metrics({"train_loss": 0.01}, step=43, epoch=3, rows=344)
    again, fresh = shown(first.run()), shown(visit("runs", run=own.runs["running"]))
    assert again == fresh and again[2] != curves, "a reload, and what came meanwhile"
    assert own.run("running").live and own.launched() == []


@pytest.mark.fault("F22")
def test_rubbish_in_a_log_is_shown_as_text(own: Workspace, visit: Visit, says: Says) -> None:
    rubbish = b"caf\xe9 \x00\x1b[31mred\x1b[0m\n" + b"x" * 1_000_000 + f"\n{HOSTILE}\n 10 %\r 99 %\rdone\n".encode()
    (own.path("running") / "run.log").write_bytes(rubbish)
    at = visit("runs", run=own.runs["running"])
    lines = at.code[0].value.split("\n")
    assert lines == ["caf\\xe9 \\x00red", "x" * 1000 + " …", HOSTILE, "done"]
    assert not foreign_markup(at)
    (own.path("running") / "run.log").write_bytes(rubbish[:18])
    assert visit("runs", run=own.runs["running"]).code[0].value == "caf\\xe9 \\x00red"


@pytest.mark.fault("F63")
@pytest.mark.parametrize(
    ("page", "query"), [("runs", "run"), ("compare", "runs"), ("recommend", "runs"), ("data", "dataset"), ("train", "dataset")]
)
@pytest.mark.parametrize("given", ["deleted", "x" * 10_000, "-1"], ids=["deleted", "long", "a number"])
def test_an_address_of_nothing_is_a_sentence_with_the_way_home(
    own: Workspace, visit: Visit, says: Says, page: str, query: str, given: str
) -> None:
    if given == "deleted":
        given = own.runs["ease10"]
        own.forget(given)
    at = visit(page, **{query: given})
    assert "There is no" in says(at)
    assert "Go to the home page" in links(at) or (page == "train" and "the newest is selected instead" in says(at))
