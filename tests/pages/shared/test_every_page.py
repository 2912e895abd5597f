"""Every page, opened as a person would: empty, with a wrong address, with hostile text."""

import pytest

from engine import runs
from tests.pages.reading import Says, Visit, foreign_markup
from tests.records import HOSTILE
from tests.workspace import Workspace

PAGES = ("home", "data", "train", "plan", "runs", "compare", "recommend", "registry", "system")
ADDRESS = ("runs", "run", "dataset", "user", "metric", "k", "models", "from", "baseline", "tour", "view", "of", "users", "hosts")


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workbench_opens_every_page(empty: Workspace, visit: Visit, page: str) -> None:
    at = visit(page)
    assert at.title[0].value


@pytest.mark.parametrize(
    "page, leads_to, label",
    [
        ("train", "data", "Prepare a dataset"),
        ("plan", "data", "Prepare a dataset"),
        ("runs", "home", "Go to the home page"),
        ("compare", "train", "Train models"),
        ("recommend", "train", "Train models"),
    ],
)
def test_an_empty_page_offers_the_next_step_alone(empty: Workspace, visit: Visit, page: str, leads_to: str, label: str) -> None:
    assert [(b.key, b.label) for b in visit(page).button] == [(f"empty.{leads_to}/page.py", label)]


@pytest.mark.fault("F63")
@pytest.mark.parametrize("page", PAGES)
def test_a_wrong_address_gives_a_sentence_and_never_a_traceback(shared: Workspace, visit: Visit, says: Says, page: str) -> None:
    at = visit(page, **dict.fromkeys(ADDRESS, HOSTILE * 120))  # some 10,000 characters
    if page in ("data", "train", "plan", "runs", "compare", "recommend"):
        assert "There is no" in says(at)
        assert not foreign_markup(at)


def test_a_run_named_in_markdown_is_escaped(own: Workspace, visit: Visit, says: Says) -> None:
    for name in ("two_tower", "dlrm"):
        runs.rename(own.runs[name], HOSTILE)
    both = {"runs": own.ids("two_tower", "dlrm")}
    for page, query in (("home", {}), ("runs", {"run": own.runs["dlrm"]}), ("compare", both), ("recommend", both)):
        at = visit(page, **query)
        assert "Bold" in says(at)
        assert not foreign_markup(at)
