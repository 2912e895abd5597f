"""How every model is measured: what a run may choose of it, and what is fixed for all. Sampled candidates are not offered."""

from typing import Final, Literal

from pydantic import Field

from workers.specs.spec import MORE, Spec

TIE_SEED: Final = 20_240_229


class Protocol(Spec):
    """Who competes in the rankings that models are measured by, on valid and on test alike."""

    candidates: Literal["catalogue"] = Field(
        "catalogue", description="What is ranked: every item that train met, never a sample of them", json_schema_extra=MORE
    )
    exclude_seen: bool = Field(
        True,
        description="Leave out the items that a user met in train; off where people come back to what they know: such items then compete, "
        "and count as found when they are liked again",
        json_schema_extra=MORE,
    )
    list_length: int = Field(
        100,
        ge=10,
        le=1000,
        description="Items kept of each user's list: up to so many, metrics can be asked for later. What is measured does not depend on it",
        json_schema_extra=MORE,
    )
    tie_seed: Literal[20_240_229] = Field(
        TIE_SEED, description="Seed of the one random order in which items of equal score stand", json_schema_extra=MORE
    )

    def measures_like(self, other: "Protocol") -> bool:
        """Whether two protocols give a model the same numbers: how much of a list is kept makes no difference to them."""
        return self.model_copy(update={"list_length": other.list_length}) == other

    @property
    def said(self) -> str:
        """What sets it apart, behind "was measured"."""
        return "without the items that users met in train" if self.exclude_seen else "with the items that users met in train"
