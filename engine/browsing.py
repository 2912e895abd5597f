"""Finding what is worth looking at: items by their titles."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import datasets

if TYPE_CHECKING:
    import pandas as pd

FOUND = ["item_id", "title", "genres", "train_positives"]


class Catalogue(NamedTuple):
    """The items that train has, most liked first, and their titles in lower case."""

    items: "pd.DataFrame"
    titles: list[str]


def search_items(id: str, text: str = "", limit: int = 12, without: Sequence[str] = ()) -> "pd.DataFrame":
    """Items of train whose title holds every word of `text`, or whose id it is: the exact id first, then titles that begin with it,
    then by how often they are liked.

    Args:
        without: ids that are left out.

    Returns:
        At most `limit` rows: item_id, title, genres, train_positives.

    Raises:
        LookupError: no such dataset.
    """
    catalogue, asked, hidden = _catalogue(datasets.get_dataset(id).path, id), text.strip().casefold(), set(without)
    parts, ids = asked.split(), catalogue.items["item_id"].tolist()
    ranked = [
        (item.casefold() != asked, not title.startswith(asked), place)
        for place, (item, title) in enumerate(zip(ids, catalogue.titles, strict=True))
        if item not in hidden and (item.casefold() == asked or all(part in title for part in parts))
    ]
    return catalogue.items.iloc[[place for _, _, place in sorted(ranked)[:limit]]].reset_index(drop=True)


def known_items(id: str, item_ids: Sequence[str]) -> "pd.DataFrame":
    """Those of some items that train has, in the order given; columns as in `search_items`. LookupError: no such dataset."""
    items = _catalogue(datasets.get_dataset(id).path, id).items
    asked = {item: place for place, item in enumerate(dict.fromkeys(item_ids))}
    found: Any = items[items["item_id"].isin(list(asked))]
    return found.sort_values("item_id", key=lambda ids: ids.map(asked)).reset_index(drop=True)


@lru_cache(maxsize=4)
def _catalogue(path: Path, id: str) -> Catalogue:
    """A prepared dataset never changes. `path` tells those of two workspaces apart."""
    items = datasets.items(id)
    items = items[items["row"] > 0].sort_values("train_positives", ascending=False, kind="stable")[FOUND].reset_index(drop=True)
    return Catalogue(items, [title.casefold() if isinstance(title, str) else "" for title in items["title"]])
