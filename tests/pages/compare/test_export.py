"""The Export popover: a button a kind of file, and the verdict without its markup."""

from pathlib import Path

import pytest

from engine.cli import main
from engine.compare import Part, plain
from tests.pages.fake import FakeEngine
from tests.pages.reading import Visit
from tests.records import HOSTILE
from ui.compare import verdict
from ui.shared import words


def test_every_kind_is_a_button(trained: FakeEngine, visit: Visit) -> None:
    at = visit("compare", runs="a,d")
    assert [b.label for b in at.get("download_button")] == [
        "CSV, every number", "Markdown", "LaTeX, booktabs", "Report, one HTML file", "JSON, with specs and commands",
    ]  # fmt: skip
    assert "recbench compare a d --export comparison.html" in [c.value for c in at.code]


def test_names_in_the_verdict_are_escaped_for_the_page_and_plain_elsewhere() -> None:
    said = (Part("take "), Part(f"A {HOSTILE}", name=True), Part(": +0.1"))
    assert verdict.markdown(said) == f"take **A {words.md(HOSTILE)}**: +0.1"
    assert plain(said) == f"take A {HOSTILE}: +0.1"


def test_the_command_line_writes_the_same_files(trained: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / f"it.{ending}" for ending in ("csv", "md", "tex", "html")]
    trained.pin("d")
    main(["compare", "a", "d", *(part for file in files for part in ("--export", str(file)))])
    assert all(file.stat().st_size > 500 for file in files)
    assert capsys.readouterr().out.count("written: ") == 4
    assert "differences are against DLRM" in files[3].read_text()  # the pinned one, unless told otherwise
    with pytest.raises(SystemExit, match="There is no export 'pdf'; choose csv, md, tex, html, json"):
        main(["compare", "a", "d", "--export", str(tmp_path / "it.pdf")])
    assert not (tmp_path / "it.pdf").exists()
