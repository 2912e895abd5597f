"""iALS: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008. That it must be tuned to be a
baseline is shown by Rendle, Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022,
whose sweeps (16), widths (to 512 here) and frequency-scaled regularisation the search tries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, TUNED, USER_ID, FeatureSchema, Task

if TYPE_CHECKING:
    from workers.matrices import MatrixModel

SOLVED_BYTES = 200_000_000  # of the systems that are solved at once, and what they are made of


class IALSSpec(MatrixSpec):
    """Factors of users and items by alternating least squares over all pairs, with more confidence in liked ones: cheap embeddings."""

    label: ClassVar[str] = "iALS"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    tuned: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "factors": (32, 128),
        "regularisation": (2.0, 5.0, 15.0),
        "alpha": (1.0, 4.0, 16.0),
        "iterations": (4, 16),
        "frequency_scaling": (0.0, 1.0),
    }
    options: ClassVar[tuple[str, ...]] = ("frequency_scaling",)
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"factors": (8, 512), "iterations": (1, 16)}

    kind: Literal["ials"] = "ials"
    factors: int | None = Field(
        None,
        ge=1,
        le=2048,
        description="Width of the embeddings; empty: the better of 32, 128, and up to 512 while an end is best",
        json_schema_extra=TUNED,
    )
    regularisation: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="L2 regularisation of the factors, in units of the confidence of a like, 1 + alpha; empty: the best of 2, 5, 15, and "
        "beyond while an end is best",
        json_schema_extra=TUNED,
    )
    alpha: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="How much more a like counts than a pair without one; empty: the best of 1, 4, 16, and beyond while an end is best",
        json_schema_extra=TUNED,
    )
    iterations: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="How often users and items are solved in turn; empty: the better of 4, 16, and fewer while an end is best",
        json_schema_extra=TUNED,
    )
    frequency_scaling: float | None = Field(
        None,
        ge=0,
        le=1,
        description="How much the regularisation of a user or item grows with the likes it has: 0 not at all, 1 in proportion, on average "
        "the same; empty: 1 is tried at the best of the other settings, where that is narrow enough to be quick",
        json_schema_extra=TUNED,
    )

    @property
    def effort(self) -> float:
        """Systems of `factors` equations in each sweep, and in measuring, as long as four sweeps; exact ones were measured at 77 times."""
        return (self.factors or 1) ** 2 * ((self.iterations or 1) * (60 if self.frequency_scaling else 1) + 4)

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        users, items = schema.feature(USER_ID).num_rows, schema.feature(ITEM_ID).num_rows - 1
        most = self.factors or int(self.limits["factors"][1])
        # the factors of users while it is fitted, and the best factors of items so far while settings are tried
        return Footprint((TableSize("factors of items", items, most),), working_bytes=FLOAT * most * (users + items) + SOLVED_BYTES)

    def build(self) -> "MatrixModel":
        from workers.matrices import IALS

        settings = (self.factors, self.regularisation, self.alpha, self.iterations)
        assert None not in settings
        return IALS(*settings, self.frequency_scaling or 0.0)  # type: ignore[arg-type]  # runs of version 0.1 have none
