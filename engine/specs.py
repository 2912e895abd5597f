"""What a person asks of the data: the dataset spec, from source to split."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from engine.sources import SOURCES, SourceSpec
from workers.specs import MORE, Spec, pick


class MeanLabel(Spec):
    """Positive when the rating is at or above the mean rating of train (the reference method's rule)."""

    kind: Literal["mean"] = "mean"


class ThresholdLabel(Spec):
    """Positive when the rating is at or above a threshold."""

    kind: Literal["threshold"] = "threshold"
    threshold: float = Field(4.0, description="Ratings at or above this are positive")


class TimeSplit(Spec):
    """Everything before one moment is train; then valid; then test. The same moment for all users."""

    kind: Literal["time"] = "time"
    valid: float = Field(0.1, gt=0, lt=0.5, description="Share of interactions, by time, that validate")
    test: float = Field(0.1, gt=0, lt=0.5, description="Share of the latest interactions that test")


class PerUserSplit(Spec):
    """Each user's last interactions are test, those before are valid; users with fewer than three keep all in train."""

    kind: Literal["per_user"] = "per_user"
    valid: float = Field(0.1, gt=0, lt=0.5, description="Share of each user's interactions that validate, at least one")
    test: float = Field(0.1, gt=0, lt=0.5, description="Share of each user's last interactions that test, at least one")


Label = Annotated[MeanLabel | ThresholdLabel, Field(discriminator="kind")]
Split = Annotated[TimeSplit | PerUserSplit, Field(discriminator="kind")]


class DatasetSpec(Spec):
    """One prepared dataset: where interactions come from, what counts as liked, and what is held out."""

    name: str = Field(
        "sample", pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=41, description="Short name: lower-case letters, digits, dashes"
    )
    source: SerializeAsAny[SourceSpec]
    label: Label = ThresholdLabel()
    split: Split = TimeSplit()
    history: int = Field(
        200,
        ge=0,
        le=1000,
        description="Liked items of train that models may read of a user, the row's own left out; 0: none",
        json_schema_extra=MORE,
    )
    eval_users: int = Field(
        5000, ge=10, le=1_000_000, description="Users to rank for at most; a fixed random sample", json_schema_extra=MORE
    )
    seed: int = Field(1, ge=0, lt=2**31, description="Seed of the shuffle and of the sample of users", json_schema_extra=MORE)

    @field_validator("source", mode="before")
    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        return pick(value, SOURCES, "source")

    @model_validator(mode="after")
    def _something_is_left(self) -> "DatasetSpec":
        if self.split.valid + self.split.test >= 0.9:
            raise ValueError(f"split.valid + split.test is {self.split.valid + self.split.test:.2f}; leave at least 0.1 to train on.")
        return self
