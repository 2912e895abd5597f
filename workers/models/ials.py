"""iALS: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008. That it must be tuned to be a
baseline is shown by Rendle et al., "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from workers.models.base import MatrixSpec
from workers.specs import TUNED

if TYPE_CHECKING:
    from workers.matrices import MatrixModel


class IALSSpec(MatrixSpec):
    """Factors of users and items by alternating least squares over all pairs, with more confidence in liked ones: cheap embeddings."""

    label: ClassVar[str] = "iALS"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    tuned: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "factors": (32, 128),
        "regularisation": (2.0, 5.0, 15.0),
        "alpha": (1.0, 4.0, 16.0),
        "iterations": (5, 15),
    }

    kind: Literal["ials"] = "ials"
    factors: int | None = Field(
        None, ge=1, le=2048, description="Width of the embeddings; empty: the better of 32, 128", json_schema_extra=TUNED
    )
    regularisation: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="L2 regularisation of the factors, in units of the confidence of a like, 1 + alpha; empty: the best of 2, 5, 15",
        json_schema_extra=TUNED,
    )
    alpha: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="How much more a like counts than a pair without one; empty: the best of 1, 4, 16",
        json_schema_extra=TUNED,
    )
    iterations: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="How often users and items are solved in turn; empty: the better of 5, 15",
        json_schema_extra=TUNED,
    )

    def build(self) -> "MatrixModel":
        from workers.matrices import IALS

        assert None not in (self.factors, self.regularisation, self.alpha, self.iterations)
        return IALS(self.factors, self.regularisation, self.alpha, self.iterations)  # type: ignore[arg-type]
