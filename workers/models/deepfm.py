"""DeepFM: Guo et al., "DeepFM: a factorization-machine based neural network for CTR prediction", IJCAI 2017."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.models.base_ranker import RankerSpec
from workers.models.footprint import linear
from workers.specs import BINARY, Choices, FeatureSchema, Task, searched

if TYPE_CHECKING:
    from workers.networks import Ranker


class DeepFMSpec(RankerSpec):
    """A factorization machine and an MLP over the same embeddings, added up: a weight for every value, pairs, and depth."""

    label: ClassVar[str] = "DeepFM"

    kind: Literal["deepfm"] = "deepfm"
    deep_layers: tuple[int, ...] = Field(
        (64, 32),
        min_length=1,
        description="Hidden layers over the embeddings; linear logits follow",
        json_schema_extra=searched(Choices(choices=((64, 32), (128, 64), (256, 128, 64)))),
    )

    def interaction_parameters(self, features: int, outputs: int) -> int:
        return linear([(features + 1) * self.embedding_dim, *self.deep_layers, outputs]) + outputs

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        from workers.networks import DeepFMRanker

        return DeepFMRanker(self, schema, task)
