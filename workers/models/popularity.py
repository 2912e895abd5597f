"""Popularity: the ranking that knows nobody. What any personal model must beat (Cremonesi, Koren, Turrin, RecSys 2010)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from workers.models.base import MatrixSpec

if TYPE_CHECKING:
    from workers.matrices import MatrixModel


class PopularitySpec(MatrixSpec):
    """The items that were liked most often, the same list for everybody: the bar that personal lists must clear."""

    label: ClassVar[str] = "Popularity"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"

    kind: Literal["popularity"] = "popularity"

    def build(self) -> "MatrixModel":
        from workers.matrices import Popularity

        return Popularity()
