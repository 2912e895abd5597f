"""DLRM: Naumov et al., "Deep learning recommendation model for personalization and recommendation systems", arXiv 1906.00091, 2019."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from workers.specs import BINARY, MORE, FeatureSchema, NetworkSpec, Task

if TYPE_CHECKING:
    from workers.modules.ranker import Ranker


class DLRMSpec(NetworkSpec):
    """All categorical and dense features, their dot interactions and an MLP: fine-grained ranking of few candidates."""

    label: ClassVar[str] = "DLRM"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "ranking"

    kind: Literal["dlrm"] = "dlrm"
    embedding_dim: int = Field(16, ge=4, le=1024, multiple_of=4, description="Width of every embedding")
    dense_layers: tuple[int, ...] = Field((64,), description="Hidden layers over the dense features, before the interaction")
    over_layers: tuple[int, ...] = Field((64, 32), description="Hidden layers over the interactions; a linear logit follows")
    history: bool = Field(True, description="Read the bag of the user's liked items (when the dataset has one)")
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of interactions dropped in training", json_schema_extra=MORE)
    init_std: float = Field(0.05, gt=0, le=1, description="Standard deviation of fresh embeddings", json_schema_extra=MORE)

    @property
    def title(self) -> str:
        return " · ".join([self.label, *(["history"] if self.history else []), f"dim {self.embedding_dim}"])

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        from workers.modules.dlrm import DLRMRanker

        return DLRMRanker(
            schema,
            dim=self.embedding_dim,
            dense_layers=self.dense_layers,
            over_layers=self.over_layers,
            history=self.history and schema.has_history,
            dropout=self.dropout,
            init_std=self.init_std,
        )
