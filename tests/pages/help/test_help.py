"""The Help page: topics by their address, and a link to each from where it is needed."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.reading import Visit
from tests.workspace import Workspace
from ui.help import topics


def shown(at: AppTest) -> str:
    return "\n".join(element.value for element in at.markdown)


@pytest.mark.parametrize("topic", topics.TOPICS)
def test_every_topic_has_an_address(empty: Workspace, visit: Visit, topic: str) -> None:
    at = visit("help", topic=topic)
    assert topics.text(topic).strip() in shown(at)
    assert at.query_params["topic"] == topic


def test_an_unknown_topic_says_so_and_shows_the_first(empty: Workspace, visit: Visit) -> None:
    at = visit("help", topic="nonsense")
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
def test_pages_lead_to_the_topic_that_they_need(empty: Workspace, visit: Visit, page: str, topic: str, label: str) -> None:
    links = [link for link in visit(page).get("page_link") if link.label == label]
    assert len(links) == 1
    assert links[0].proto.query_string == f"topic={topic}"
