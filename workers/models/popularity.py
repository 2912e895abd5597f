"""Popularity: one ranking for all users, the baseline of personalised models (Cremonesi, Koren, Turrin, RecSys 2010)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from workers.models.base import MatrixSpec
from workers.models.footprint import Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, FeatureSchema, Task

if TYPE_CHECKING:
    from workers.matrices import MatrixModel


class PopularitySpec(MatrixSpec):
    """The items that were liked most often, the same list for everybody: the baseline that personalised models must beat."""

    label: ClassVar[str] = "Popularity"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    seeded: ClassVar[bool] = False

    kind: Literal["popularity"] = "popularity"

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        return Footprint((TableSize("likes of items", schema.feature(ITEM_ID).num_rows - 1, 1),))

    def build(self) -> "MatrixModel":
        from workers.matrices import Popularity

        return Popularity()
