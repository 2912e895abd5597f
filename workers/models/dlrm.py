"""DLRM: Naumov et al., "Deep learning recommendation model for personalization and recommendation systems", arXiv 1906.00091, 2019."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.models.base_ranker import RankerSpec
from workers.models.footprint import linear
from workers.specs import BINARY, Choices, FeatureSchema, Task, searched

if TYPE_CHECKING:
    from workers.networks import Ranker


class DLRMSpec(RankerSpec):
    """All categorical and dense features, their dot interactions and an MLP: fine-grained ranking of few candidates."""

    label: ClassVar[str] = "DLRM"

    kind: Literal["dlrm"] = "dlrm"
    over_layers: tuple[int, ...] = Field(
        (64, 32),
        min_length=1,
        description="Hidden layers over the interactions; linear logits follow",
        json_schema_extra=searched(Choices(choices=((64, 32), (128, 64), (256, 128, 64)))),
    )

    def interaction_parameters(self, features: int, outputs: int) -> int:
        return linear([self.embedding_dim + (features + 1) * features // 2, *self.over_layers, outputs])

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        from workers.networks import DLRMRanker

        return DLRMRanker(self, schema, task)
