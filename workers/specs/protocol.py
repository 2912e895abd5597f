"""How every model is measured: settings that a run may choose, and those that are fixed. Sampled candidates are not offered."""

from typing import Final, Literal

from pydantic import Field

from workers.specs.spec import MORE, Spec

TIE_SEED: Final = 20_240_229


class Protocol(Spec):
    """Which items are ranked when models are measured, on valid and on test alike."""

    candidates: Literal["catalogue"] = Field(
        "catalogue", description="Items that are ranked: every item of train, never a sample of them", json_schema_extra=MORE
    )
    exclude_seen: bool = Field(
        True,
        description="Leave out the items that a user met in train; turn it off where people return to the same items: these are then "
        "ranked too, and count as hits when they are liked again",
        json_schema_extra=MORE,
    )
    list_length: int = Field(
        100,
        ge=10,
        le=1000,
        description="Items stored of each user's list: metrics can be computed later for any k up to this. It changes no metric of the run",
        json_schema_extra=MORE,
    )
    tie_seed: Literal[20_240_229] = Field(
        TIE_SEED, description="Seed of the fixed random order of items with equal scores", json_schema_extra=MORE
    )

    def measures_like(self, other: "Protocol") -> bool:
        """Whether two protocols give a model the same metrics, which do not depend on how much of a list is stored."""
        return self.model_copy(update={"list_length": other.list_length}) == other

    @property
    def in_words(self) -> str:
        """The protocol in words, to follow "was measured"."""
        return "without the items that users met in train" if self.exclude_seen else "with the items that users met in train"
