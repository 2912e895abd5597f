"""How every model is measured: settings that a run may choose, and those that are fixed. Sampled candidates are not offered."""

from typing import Final, Literal

from pydantic import Field

from workers.specs.spec import MORE, Spec

TIE_SEED: Final = 20_240_229

Target = Literal["later", "next", "last"]
TARGETS: Final[dict[Target, str]] = {"later": "all later likes", "next": "the next item", "last": "the last item"}


class Protocol(Spec):
    """Which items are ranked when models are measured, on valid and on test alike."""

    candidates: Literal["catalogue"] = Field(
        "catalogue", description="Items that are ranked: every item of train, never a sample of them", json_schema_extra=MORE
    )
    exclude_seen: bool = Field(
        True,
        description="Leave out the items that a user met before; turn it off where people return to the same items: these are then "
        "ranked too, and count as hits when they are liked again",
        json_schema_extra=MORE,
    )
    target: Target = Field(
        "later",
        description="What a list should hold. later: all items that the user went on to like; next: the first of them; last: the last of "
        "them, which with a split per user is leave-one-out. next and last need times",
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

    def lists_like(self, other: "Protocol") -> bool:
        """Whether a model makes the same lists under both, so that those of one can be measured by the target of the other."""
        return self.model_copy(update={"list_length": other.list_length, "target": other.target}) == other

    @property
    def in_words(self) -> str:
        """The protocol in words, to follow "was measured"."""
        seen = "without the items that users met before" if self.exclude_seen else "with the items that users met before"
        return seen if self.target == "later" else f"by {TARGETS[self.target]}, {seen}"

    @property
    def has_own_relevant(self) -> bool:
        """Whether the items that count as hits differ from those that the dataset holds for the default protocol."""
        return not self.exclude_seen or self.target != "later"
