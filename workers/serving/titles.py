"""Find items by what people call them. Imports no torch."""

from collections.abc import Sequence


def matches(ids: Sequence[str], titles: Sequence[str], text: str) -> list[int]:
    """The places of the items that a text means: of that id; else of that whole title; else those whose title has all its words.

    Args:
        ids, titles: of the catalogue, titles in lower case (`str.casefold`), empty where an item has none. text: in any case.
    """
    query = text.strip().casefold()
    if not query:
        return []
    words = query.split()
    return (
        [place for place, item in enumerate(ids) if item.casefold() == query]
        or [place for place, title in enumerate(titles) if title == query]
        or [place for place, title in enumerate(titles) if all(word in title for word in words)]
    )
