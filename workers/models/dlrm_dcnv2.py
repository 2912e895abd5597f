"""DLRM with the cross network of DCN v2: Wang et al., "DCN V2: improved deep & cross network", WWW 2021, section 3.2 for low rank."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.models.base_ranker import RankerSpec
from workers.models.footprint import linear
from workers.specs import BINARY, MORE, Choices, FeatureSchema, Task, searched

if TYPE_CHECKING:
    from workers.networks import Ranker


class DLRMDCNSpec(RankerSpec):
    """A DLRM whose features meet in low-rank cross layers instead of dot products: MLPerf's DLRM-DCNv2."""

    label: ClassVar[str] = "DLRM-DCNv2"

    kind: Literal["dlrm_dcnv2"] = "dlrm_dcnv2"
    cross_layers: int = Field(2, ge=1, le=16, description="Cross layers; each raises the order of the interactions by one")
    low_rank: int = Field(32, ge=1, le=4096, description="Rank of the cross matrices", json_schema_extra=MORE)
    over_layers: tuple[int, ...] = Field(
        (64, 32),
        min_length=1,
        description="Hidden layers over the crosses; linear logits follow",
        json_schema_extra=searched(Choices(choices=((64, 32), (128, 64), (256, 128, 64)))),
    )

    def interaction_parameters(self, features: int, outputs: int) -> int:
        width = (features + 1) * self.embedding_dim
        crosses = self.cross_layers * width * (2 * min(self.low_rank, width) + 1)
        return crosses + linear([width, *self.over_layers, outputs])

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        from workers.networks import DCNRanker

        return DCNRanker(self, schema, task)
