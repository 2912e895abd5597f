"""The Export popover: a button a kind of file, and the verdict without its markup."""

from html import escape
from pathlib import Path

import pytest

import engine
from engine.cli import main
from engine.compare import Part, plain
from engine.report import View
from tests.pages.reading import Visit, labelled
from tests.records import HOSTILE
from tests.workspace import Workspace
from ui.compare import verdict
from ui.compare.view import KEY, record
from ui.shared import words


def test_every_kind_is_a_button(shared: Workspace, visit: Visit) -> None:
    at = visit("compare", runs=shared.ids("two_tower", "dlrm"))
    assert [b.label for b in at.get("download_button")] == [
        "CSV, every number", "Markdown", "LaTeX, booktabs", "Report, one HTML file", "Notebook, to run and change",
        "JSON, with specs and commands",
    ]  # fmt: skip
    assert f"recbench compare {shared.runs['two_tower']} {shared.runs['dlrm']} --export comparison.html" in [c.value for c in at.code]


def test_what_is_typed_above_the_report_is_there_at_the_next_visit_and_in_the_files(
    own: Workspace, visit: Visit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = own.ids("two_tower", "dlrm")
    labelled(visit("compare", runs=ids).text_area, "Notes for the report").set_value(f"For the board.\n\n{HOSTILE}").run()
    again = visit("compare", runs=own.ids("dlrm", "two_tower"))  # the same runs in another order
    assert labelled(again.text_area, "Notes for the report").value == f"For the board.\n\n{HOSTILE}"
    assert labelled(visit("compare", runs=own.ids("dlrm", "ease")).text_area, "Notes for the report").value == ""
    page = tmp_path / "it.html"
    main(["compare", *ids.split(","), "--export", str(page)])
    assert "<p>For the board.</p>" in page.read_text() and f"<p>{escape(HOSTILE)}</p>" in page.read_text()
    main(["compare", *ids.split(","), "--note", "Said <b>later</b>", "--export", str(page)])
    assert "<p>Said &lt;b&gt;later&lt;/b&gt;</p>" in page.read_text() and "For the board" not in page.read_text()
    main(["compare", *ids.split(","), "--note", ""])
    assert labelled(visit("compare", runs=ids).text_area, "Notes for the report").value == ""
    with pytest.raises(SystemExit, match="write 20,000 or fewer"):
        main(["compare", *ids.split(","), "--note", "x" * 20_001])


def test_the_notebook_draws_what_the_page_draws(shared: Workspace, visit: Visit) -> None:
    ids = shared.ids("two_tower", "dlrm")
    at = visit("compare", runs=ids, metric="auc", quality="auc", cost="Parameters", pairs="auc", slice="popularity", k="5")
    view = record(at.session_state[KEY])
    assert view == View(curve="auc", quality="auc", cost="Parameters", pairs="auc", slice_by="popularity", sliced="recall_at_10")
    labelled(at.selectbox, "Cost").select("Training time").run()  # redraws that part of the page alone
    assert record(at.session_state[KEY]) == view.model_copy(update={"cost": "Training time"})
    written = engine.report.export(engine.compare.compare(ids.split(",")), "ipynb", view).decode()
    assert "learning_curves(comparison, key='auc')" in written and "cost='Parameters'" in written


def test_names_in_the_verdict_are_escaped_for_the_page_and_plain_elsewhere() -> None:
    said = (Part("take "), Part(f"A {HOSTILE}", name=True), Part(": +0.1"))
    assert verdict.markdown(said) == f"take **{words.md(f'A {HOSTILE}', 160)}**: +0.1"
    assert plain(said) == f"take A {HOSTILE}: +0.1"


def test_the_command_line_writes_the_same_files(own: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / f"it.{ending}" for ending in ("csv", "md", "tex", "html")]
    ids = own.ids("two_tower", "dlrm").split(",")
    engine.runs.pin(own.runs["dlrm"])
    main(["compare", *ids, *(part for file in files for part in ("--export", str(file)))])
    assert all(file.stat().st_size > 500 for file in files)
    assert capsys.readouterr().out.count("written: ") == 4
    assert "differences are against DLRM" in files[3].read_text()  # the pinned one, unless told otherwise
    with pytest.raises(SystemExit, match="There is no export 'pdf'; choose csv, md, tex, html, ipynb, json"):
        main(["compare", *ids, "--export", str(tmp_path / "it.pdf")])
    assert not (tmp_path / "it.pdf").exists()
