"""How settings are searched: which values each may take, and how many of them are tried."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from workers.specs.spec import MORE, Spec

SEARCHED = "searched"  # where the metadata of a field say how it is searched
Choice = bool | int | float | str | tuple[int, ...] | None


class Range(Spec):
    """Numbers between two ends, which may be values too."""

    low: float = Field(description="The lowest value")
    high: float = Field(description="The highest value")
    log: bool = Field(False, description="Whether factors count rather than differences, as for learning rates")
    whole: bool = Field(False, description="Whether only whole numbers are values")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"A range goes from {self.low:g} to {self.high:g}; give a lower and a higher end.")
        if self.log and self.low <= 0:
            raise ValueError(f"A logarithmic range begins at {self.low:g}; begin above 0, or turn log off.")
        if self.whole and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"A range of whole numbers goes from {self.low:g} to {self.high:g}; give whole ends.")
        return self

    def at_edge(self, value: float) -> bool:
        """Whether a value is so close to an end that better ones may lie beyond: within a twentieth of the range."""
        if self.log:
            from math import log

            share = log(value / self.low) / log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return not 0.05 < share < 0.95

    @property
    def in_words(self) -> str:
        return f"{self.low:g} to {self.high:g}{', by factors' if self.log else ''}"


class Choices(Spec):
    """Values that have no order, or only a few."""

    choices: tuple[Choice, ...] = Field(min_length=1, max_length=100, description="The values")

    @property
    def in_words(self) -> str:
        return ", ".join("none" if one is None else str(one) for one in self.choices)


Space = dict[str, Range | Choices]  # settings by dotted name, such as model.embedding_dim or train.table_learning_rate


def searched(way: Range | Choices, first: Choice = None) -> JsonDict:
    """Metadata of a field that searches vary.

    Args:
        way: the values that are tried unless a search has a space of its own.
        first: the value of the first trial, where the field has none.
    """
    return {SEARCHED: {"way": way.model_dump(mode="json"), "first": list(first) if isinstance(first, tuple) else first}}


def way_of(metadata: object) -> tuple[Range | Choices, Any] | None:
    """How a field is searched and the value of its first trial, from its metadata; None: it is not searched."""
    found = metadata.get(SEARCHED) if isinstance(metadata, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    way = found["way"]
    return (Choices if "choices" in way else Range).model_validate(way), found["first"]


class SearchSpec(Spec):
    """A search for settings on validation: the run is then its winner, and the test split is read once, for the winner alone."""

    trials: int = Field(20, ge=1, le=10_000, description="Settings that are tried, the ones of the form first")
    minutes: float | None = Field(None, gt=0, le=100_000, description="Begin no further trial after this time; empty: trials alone count")
    sampler: Literal["tpe", "random"] = Field(
        "tpe",
        description="tpe: values near those that did well (Bergstra et al., NIPS 2011); random: values drawn evenly",
        json_schema_extra=MORE,
    )
    pruner: Literal["median", "none"] = Field(
        "median",
        description="median: a trial ends after an epoch at which it is worse than the median of the trials before (Golovin et al., KDD "
        "2017); none: every trial goes on until its own early stopping",
        json_schema_extra=MORE,
    )
    space: Space | None = Field(
        None,
        description="Values that are tried, by setting; empty: each setting's own range",
        json_schema_extra=MORE,
    )
