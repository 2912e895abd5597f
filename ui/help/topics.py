"""The help texts: Markdown files of this folder, whose links lead from topic to topic in the repository and in the app alike."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
TOPICS = {
    "data": "Data",
    "protocol": "What is compared",
    "contenders": "Models",
    "outputs": "What a run leaves",
    "commands": "Command line",
    "python": "Python",
    "ship": "Ship the winner",
    "scale": "Settings and scale",
    "faults": "When something fails",
    "extend": "Extend it",
}  # file name without .md: what people call it, in the order of the page
_LINK = re.compile(r"\]\((?P<topic>[a-z]+)\.md(?:#[a-z0-9-]+)?\)")
_OUTSIDE = re.compile(r"\[(?P<text>[^\]]+)\]\((?:\.\./)+[^)]+\)")


def text(topic: str) -> str:
    """The Markdown of a topic as the app shows it: links to other topics are addresses of the Help page, and links to files of the
    repository, which the app does not serve, are their names.

    Raises:
        KeyError: there is no such topic.
    """
    source = (FOLDER / f"{topic}.md").read_text(encoding="utf-8") if topic in TOPICS else ""
    if not source:
        raise KeyError(topic)
    return _OUTSIDE.sub(r"\g<text>", _LINK.sub(_address, source))


def _address(link: re.Match[str]) -> str:
    return f"](help?topic={link['topic']})"
