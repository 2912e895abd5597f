"""The Export popover: a button a kind of file, and the verdict without its markup."""

from tests.pages.fake import HOSTILE, FakeEngine
from tests.pages.test_pages import Visit
from ui.components import exporting, words


def test_every_kind_is_a_button(trained: FakeEngine, visit: Visit) -> None:
    at = visit("compare", runs="a,d")
    assert [b.label for b in at.get("download_button")] == [
        "CSV, every number", "Markdown", "LaTeX, booktabs", "Report, one HTML file", "JSON, with specs and commands",
    ]  # fmt: skip
    assert "recbench compare a d --export comparison.html" in [c.value for c in at.code]


def test_a_verdict_without_its_markup_is_what_it_says() -> None:
    assert exporting.unmarked(f"take **A {words.md(HOSTILE)}**: +0.1") == f"take A {HOSTILE}: +0.1"
