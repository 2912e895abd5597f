"""How a served model answers: a user by id, or somebody new by likes; the lists of the pages, made by the same code."""

from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from workers.registry.package import Package, open_package
from workers.registry.people import KnownPeople
from workers.serving import Filter, ListMaker, OpenedModel, matches

MOST = 1000  # items of a list
NAMED = 6  # items that a message names


class Query(BaseModel):
    """Whom a list is for, and which items it may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: str | None = Field(None, description="A user, by the id of the source; empty: somebody new")
    liked: tuple[str, ...] = Field((), description="Items that somebody new likes, the latest last: ids or titles")
    candidates: tuple[str, ...] = Field((), description="Ids of the only items that are ranked, such as a retriever's; empty: all")
    k: int = Field(10, ge=1, le=MOST, description="Length of the list")
    exclude_seen: bool = Field(True, description="Leave out items that the user met before")
    only: Filter = Filter()


class Item(BaseModel):
    """An item of a list."""

    model_config = ConfigDict(frozen=True)

    item_id: str
    title: str | None
    score: float  # a float32; only scores of one list compare


class Answer(BaseModel):
    """A list, best first."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Item, ...]
    known_user: bool  # False: the list is that of somebody new
    left_out: tuple[str, ...] = ()  # of `liked` and `candidates`, what the catalogue does not have


class _Known(NamedTuple):
    places: list[int]
    unknown: list[str]


class ServedModel:
    """A package that is open."""

    def __init__(self, package: Package, opened: OpenedModel, people: KnownPeople | None) -> None:
        self.package, self.people = package, people
        self.lists = ListMaker(package.dataset, opened, package.features)
        self._ids = opened.items["item_id"].tolist()
        self._shown = opened.items["title"].tolist()
        self._titles = [title.casefold() if isinstance(title, str) else "" for title in self._shown]
        self._place = {item: place for place, item in enumerate(self._ids)}

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises OSError or ValueError: the folder is no whole package."""
        return cls(*open_package(folder), KnownPeople.open(folder))

    def answer(self, query: Query) -> Answer:
        """The list for a person.

        A user whom the model does not know gets the list of somebody new without likes; unknown items are left out and named.

        Raises:
            ValueError: both a user and likes, or neither; or a title that several items have.
        """
        if query.user_id is not None and query.liked:
            raise ValueError("Both user_id and liked are given: give the id of a user, or the likes of somebody new.")
        person = self.people.find(query.user_id) if query.user_id is not None and self.people is not None else None
        liked, among = self._liked(query.liked), self._candidates(query.candidates)
        row, items = person or self.lists.newcomer([self._ids[place] for place in liked.places])
        if person is not None and not query.exclude_seen:
            items = items._replace(seen=np.zeros(0, np.int64))
        scores = self.lists.score(row, items, None if among is None else np.array(among.places, np.int64))
        places = self.lists.top(scores, query.k, query.only)
        unknown = (*liked.unknown, *(among.unknown if among else ()))
        return Answer(items=tuple(self._item(place, scores[place]) for place in places), known_user=person is not None, left_out=unknown)

    def _item(self, place: int, score: float) -> Item:
        title = self._shown[place]
        return Item(item_id=self._ids[place], title=title if isinstance(title, str) else None, score=float(score))

    def _candidates(self, candidates: tuple[str, ...]) -> _Known | None:
        if not candidates:
            return None
        unique = list(dict.fromkeys(candidates))
        known = [self._place[item] for item in unique if item in self._place]
        return _Known(known, [item for item in unique if item not in self._place])

    def _liked(self, liked: tuple[str, ...]) -> _Known:
        known = _Known([], [])
        for text in dict.fromkeys(liked):
            places = [self._place[text]] if text in self._place else matches(self._ids, self._titles, text)
            if len(places) > 1:
                named = "; ".join(f"{self._shown[place]} ({self._ids[place]})" for place in self._likest(places))
                raise ValueError(f"{text[:80]!r} may be several items: {named}. Give an id or a whole title.")
            known.places.extend(places) if places else known.unknown.append(text)
        return _Known(list(dict.fromkeys(known.places)), known.unknown)

    def _likest(self, places: list[int]) -> list[int]:
        likes = self.lists.items["train_positives"]
        return sorted(places, key=lambda place: -likes.iloc[place])[:NAMED]
