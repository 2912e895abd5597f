"""The Help page on a real, empty workspace: topics by their address, and a link to each from where it is needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests import stores
from tests.pages.reading import opened
from ui.help import topics


@pytest.fixture(scope="module", autouse=True)
def one_workspace(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Pages read it, and change nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(stores.copy(empty_store, tmp_path_factory.mktemp("help"))))
        yield


def shown(at: AppTest) -> str:
    return "\n".join(element.value for element in at.markdown)


@pytest.mark.parametrize("topic", topics.TOPICS)
def test_every_topic_has_an_address(topic: str) -> None:
    at = opened("help", topic=topic)
    assert topics.text(topic).strip() in shown(at)
    assert at.query_params["topic"] == topic


def test_an_unknown_topic_says_so_and_shows_the_first() -> None:
    at = opened("help", topic="nonsense")
    assert "There is no help topic" in at.warning[0].value
    assert topics.text(next(iter(topics.TOPICS))).strip() in shown(at)


@pytest.mark.parametrize(
    ("page", "topic", "label"),
    [
        ("data", "data", "Sources, audit, labels and splits"),
        ("train", "contenders", "What the models are"),
        ("compare", "protocol", "What is compared, exactly"),
        ("system", "scale", "Settings and scale"),
    ],
)
def test_pages_lead_to_the_topic_that_they_need(page: str, topic: str, label: str) -> None:
    links = [link for link in opened(page).get("page_link") if link.label == label]
    assert len(links) == 1
    assert links[0].proto.query_string == f"topic={topic}"
