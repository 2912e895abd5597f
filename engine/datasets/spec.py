"""The dataset spec: source, label, split and features of a prepared dataset."""

from typing import Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from engine.datasets.rules import (
    LABELS_OF,
    OF_EACH_USER,
    ColumnSplit,
    Label,
    LastSplit,
    Split,
    ThresholdLabel,
    TimeSplit,
    waits_for_train,
)  # fmt: skip
from engine.sources import SOURCES, SourceSpec
from workers.run import pick
from workers.specs import MORE, Spec

Duplicates = Literal["exact", "latest", "first", "mean", "keep"]


class DatasetSpec(Spec):
    """One prepared dataset: where interactions come from, what counts as liked, what is held out, how features are encoded.

    A field that is not given takes the default of the source (`SourceSpec.defaults`), then the one here.
    """

    name: str = Field(
        "sample", pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=41, description="Short name: lower-case letters, digits, dashes"
    )
    source: SerializeAsAny[SourceSpec]
    label: Label = ThresholdLabel()
    split: Split = TimeSplit()
    duplicates: Duplicates = Field(
        "exact",
        description="exact: only exact copies of a row are set aside; latest, first: one row per user and item; "
        "mean: one row per user and item with their mean rating, at the latest time; keep: every row stays",
    )
    min_user_interactions: int = Field(
        1,
        ge=1,
        le=1000,
        description="Users with fewer rows in train are set aside, with all their rows (k-core: repeated until none is left)",
    )
    min_item_interactions: int = Field(
        1,
        ge=1,
        le=1000,
        description="Items with fewer rows in train are set aside, with all their rows (k-core: repeated until none is left)",
    )
    history: int = Field(
        200,
        ge=0,
        le=1000,
        description="Liked items of train in the history of a user at most; 0: no history",
        json_schema_extra=MORE,
    )
    history_order: Literal["others", "before"] = Field(
        "others",
        description="others: all liked items of train but the row's own; before: only those liked before the row's time",
        json_schema_extra=MORE,
    )
    sequence: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="Newest likes of train in the stored sequence of a user, in order of time, for models that read order; 0: no sequences",
        json_schema_extra=MORE,
    )
    min_count: int = Field(
        1,
        ge=1,
        le=1_000_000,
        description="Rarer values of a category (train interactions) become the unknown value",
        json_schema_extra=MORE,
    )
    hashed: tuple[str, ...] = Field(
        (), max_length=200, description="Categorical features with too many values for a vocabulary: hashed instead", json_schema_extra=MORE
    )
    hash_rows: int = Field(
        100_000, ge=2, le=1 << 30, description="Rows of the table of a hashed feature; fewer rows, more collisions", json_schema_extra=MORE
    )
    log1p: tuple[str, ...] = Field(
        (), max_length=200, description="Dense features with long tails: sign(x) log(1 + |x|) before they are standardised",
        json_schema_extra=MORE,
    )  # fmt: skip
    missing_flags: bool = Field(
        True, description="A dense feature that is missing in some train rows gets a second one that flags it", json_schema_extra=MORE
    )
    eval_users: int = Field(
        5000, ge=10, le=1_000_000, description="Users to rank for at most; a fixed random sample", json_schema_extra=MORE
    )
    seed: int = Field(
        1, ge=0, lt=2**31, description="Seed of the shuffle, of a random split and of the sample of users", json_schema_extra=MORE
    )

    @field_validator("source", mode="before")
    @classmethod
    def _by_kind(cls, value: object) -> object:
        return pick(value, SOURCES, "source")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_source(cls, value: object, info: ValidationInfo) -> object:
        if not (isinstance(value, dict) and "source" in value):
            return value
        source = pick(value["source"], SOURCES, "source")
        return {**(source.defaults() if isinstance(source, SourceSpec) else {}), **value}

    @model_validator(mode="after")
    def _fits(self) -> "DatasetSpec":
        if not isinstance(self.split, ColumnSplit | LastSplit) and self.split.valid + self.split.test >= 0.9:
            raise ValueError(f"split.valid + split.test is {self.split.valid + self.split.test:.2f}; leave at least 0.1 to train on.")
        reading, kind = self.source.reading(), self.split.kind
        suits = LABELS_OF[reading.value]
        if self.label.kind not in suits:
            raise ValueError(f"label.kind is {self.label.kind}, which this source cannot give; choose {' or '.join(suits)}.")
        if reading.time is None and kind in ("time", *OF_EACH_USER):
            raise ValueError(f"split.kind is {kind}, but the source has no timestamp; choose random or a split column.")
        if kind in OF_EACH_USER and not reading.user:
            raise ValueError(f"split.kind is {kind}, but the source has no user; choose random.")
        if kind == "last" and waits_for_train(self.label):
            raise ValueError(
                f"split.kind is last, which needs to know what is liked, and label.kind {self.label.kind} takes that from train; choose a "
                "threshold, or a split per user."
            )
        if kind == "column" and not reading.split:
            raise ValueError("split.kind is column, but no column is mapped to the split; map one, or choose another split.")
        if self.duplicates == "mean" and reading.value != "number":
            raise ValueError("duplicates is mean, but the source has no rating to take the mean of; choose exact, latest or first.")
        if not (reading.user and reading.item) and self.duplicates in ("latest", "first", "mean"):
            raise ValueError(f"duplicates is {self.duplicates}, but the source has no user and item, so no pairs; choose exact or keep.")
        if (not reading.user and self.min_user_interactions > 1) or (not reading.item and self.min_item_interactions > 1):
            raise ValueError("min_user_interactions and min_item_interactions need a user and an item in the source; leave them at 1.")
        known = {f.name for f in self.source.features()}
        for field in ("hashed", "log1p"):
            foreign = set(getattr(self, field)) - known
            if foreign:
                raise ValueError(f"{field} names {', '.join(sorted(foreign))}; the source has {', '.join(sorted(known)) or 'no features'}.")
        return self
