"""Which items may be recommended. Imports no torch."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas as pd


class Filter(BaseModel):
    """Which items may be recommended."""

    model_config = ConfigDict(frozen=True)

    genres: tuple[str, ...] = Field((), description="Only items of one of these; empty: all")
    least_likes: int = Field(0, ge=0, description="Only items with at least this many likes in train")

    def __bool__(self) -> bool:
        return bool(self.genres or self.least_likes)

    def keeps(self, items: "pd.DataFrame") -> NDArray[np.bool_]:
        """Whether each item passes: bool [N]. Columns of items: genres, text such as Comedy|Drama or missing, and train_positives."""
        passes = items["train_positives"].to_numpy() >= self.least_likes
        if self.genres:
            wanted = set(self.genres)
            passes &= np.fromiter((not wanted.isdisjoint(genres_of(text)) for text in items["genres"]), bool, len(items))
        return passes


EVERYTHING = Filter()


def genres_of(text: object) -> list[str]:
    """The genres in a text such as Comedy|Drama; none in what is no text."""
    return [part.strip() for part in text.split("|") if part.strip()] if isinstance(text, str) else []
