"""iALS: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008. That it must be tuned to be a
baseline is shown by Rendle, Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022,
whose sweeps (16), widths (to 512 here) and frequency-scaled regularisation the search tries."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, TUNED, USER_ID, FeatureSchema, Range, Task, searched

if TYPE_CHECKING:
    from workers.matrices import MatrixModel

MOST = 512  # factors that a search tries
SOLVED_BYTES = 200_000_000  # of the systems that are solved at once, and what they are made of


class IALSSpec(MatrixSpec):
    """Factors of users and items by alternating least squares over all pairs, with more confidence in liked ones: cheap embeddings."""

    label: ClassVar[str] = "iALS"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"

    kind: Literal["ials"] = "ials"
    factors: int | None = Field(
        None,
        ge=1,
        le=2048,
        description="Width of the embeddings; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=16, high=MOST, log=True, whole=True), first=64),
    )
    regularisation: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="L2 regularisation of the factors, in units of the confidence of a like, 1 + alpha; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=0.3, high=100, log=True), first=5.0),
    )
    alpha: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="How much more a like counts than a pair without one; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=0.3, high=100, log=True), first=4.0),
    )
    iterations: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="How often users and items are solved in turn; empty: searched on validation",
        json_schema_extra=TUNED | searched(Range(low=1, high=16, log=True, whole=True), first=8),
    )
    frequency_scaling: float | None = Field(
        None,
        ge=0,
        le=1,
        description="How much the regularisation of a user or item grows with the likes it has: 0 not at all, 1 in proportion, on average "
        "the same; empty: 0. A search tries it where its space has it: exact solutions take many times as long",
        json_schema_extra=TUNED,
    )

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        users, items = schema.feature(USER_ID).num_rows, schema.feature(ITEM_ID).num_rows - 1
        most = self.factors or MOST
        # the factors of users while it is fitted, and the best factors of items so far while settings are tried
        return Footprint((TableSize("factors of items", items, most),), working_bytes=FLOAT * most * (users + items) + SOLVED_BYTES)

    def build(self) -> "MatrixModel":
        from workers.matrices import IALS

        settings = (self.factors, self.regularisation, self.alpha, self.iterations)
        assert None not in settings
        return IALS(*settings, self.frequency_scaling or 0.0)  # type: ignore[arg-type]  # runs of version 0.1 have none
