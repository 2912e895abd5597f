"""A Markov chain of items, from counts.

The next like by the last one is the chain, without its factors, of Rendle, Freudenthaler and Schmidt-Thieme, "Factorizing personalized
Markov chains for next-basket recommendation", WWW 2010. Pairs that are some likes apart, with less weight the further, are the sequential
rules (SR) of Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", User Modeling and User-Adapted Interaction 28,
2018. Counts are mixed with popularity as by MacKay and Peto, "A hierarchical Dirichlet language model", Natural Language Engineering 1(3),
1995.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, MORE, TUNED, FeatureSchema, Range, Task, searched

if TYPE_CHECKING:
    from workers.matrices import MatrixModel

COUNTED_BYTES = 300_000_000  # of the pairs that are counted at a time


class MarkovChainSpec(MatrixSpec):
    """What is liked after what: reads the order of a user's likes, the latest counted most. Needs times; fitted in seconds."""

    label: ClassVar[str] = "Markov chain"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    seeded: ClassVar[bool] = False
    reads_order: ClassVar[bool] = True

    kind: Literal["markov_chain"] = "markov_chain"
    window: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="How many likes after a like count as following it; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=1, high=25, log=True, whole=True), first=5),
    )
    half_life: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="A like that so many later ones follow counts half as much as the latest when a person's list is made; "
        "empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=0.5, high=512, log=True), first=8.0),
    )
    smoothing: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="Likes by popularity that are added to those that followed an item, so that rare items fall back to "
        "popularity; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=1, high=10_000, log=True), first=30.0),
    )
    damping: float | None = Field(
        None,
        ge=0,
        le=0.9,
        description="How much popular items are held back: scores are divided by popularity to this power; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=0, high=0.9), first=0.1),
    )
    decay: float = Field(
        0.9, gt=0, le=1, description="In the window, how much each further like counts of the one before it", json_schema_extra=MORE
    )
    successors: int = Field(
        1000, ge=1, le=100_000, description="Items kept that follow an item, the most frequent; others count as popularity says",
        json_schema_extra=MORE,
    )  # fmt: skip

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        items = schema.feature(ITEM_ID).num_rows - 1
        kept = min(items, self.successors)
        # the place of each successor beside its probability, and both again of the best so far while settings are tried
        return Footprint((TableSize("successors of items", items, kept),), working_bytes=3 * FLOAT * items * kept + COUNTED_BYTES)

    def build(self) -> "MatrixModel":
        from workers.matrices import MarkovChain

        assert self.window is not None and self.half_life is not None and self.smoothing is not None and self.damping is not None
        return MarkovChain(self.window, self.decay, self.half_life, self.smoothing, self.damping, self.successors)
