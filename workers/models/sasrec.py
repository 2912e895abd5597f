"""SASRec: Kang and McAuley, "Self-attentive sequential recommendation", ICDM 2018; gBCE: Petrov and Macdonald, "gSASRec", RecSys 2023."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from workers.models.base import NetworkSpec
from workers.models.footprint import Footprint, TableSize, linear
from workers.specs import BINARY, ITEM_ID, MORE, Choices, FeatureSchema, Range, Sampling, Task, searched

if TYPE_CHECKING:
    from workers.networks import Ranker

BIAS_DIM = 4  # fbgemm wants widths that are multiples of 4; an item's bias is the sum of the four


class SASRecSpec(NetworkSpec):
    """Self-attention over what a person liked, in order of time: what comes next. Needs times; retrieval through a vector index."""

    label: ClassVar[str] = "SASRec"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"
    reads_order: ClassVar[bool] = True

    kind: Literal["sasrec"] = "sasrec"
    loss: Literal["softmax", "gbce"] = Field(
        "softmax",
        description="softmax: sampled softmax with logQ correction; gbce: generalised binary cross entropy, which corrects for how few "
        "items are drawn (gSASRec), and needs many times the epochs",
    )
    embedding_dim: int = Field(
        64,
        ge=4,
        le=1024,
        multiple_of=4,
        description="Width of the embeddings and of all layers",
        json_schema_extra=searched(Choices(choices=(32, 64, 128))),
    )
    length: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Newest likes that are read of a person; of a longer sequence, training reads as many in a row, others in each epoch",
        json_schema_extra=searched(Choices(choices=(50, 100, 200))),
    )
    blocks: int = Field(
        2, ge=1, le=24, description="Blocks of self-attention, one after another", json_schema_extra=searched(Choices(choices=(1, 2, 3)))
    )
    heads: int = Field(2, ge=1, le=64, description="Heads of the attention, which divide the width", json_schema_extra=MORE)
    dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of numbers left out at each layer in training",
        json_schema_extra=searched(Range(low=0, high=0.8)),
    )
    num_negatives: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Items drawn from the catalogue at each step, against which each target of the step is set",
        json_schema_extra=MORE | searched(Choices(choices=(128, 512, 2048))),
    )
    draw: Literal["uniform", "popularity"] = Field(
        "uniform",
        description="How negatives are drawn: each item as often, or by likes to the power 3/4",
        json_schema_extra=MORE,
    )
    calibration: float = Field(
        0.75,
        ge=0,
        le=1,
        description="gbce: how far overconfidence is corrected, 0 is plain binary cross entropy (t of the paper)",
        json_schema_extra=MORE,
    )
    init_std: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Standard deviation of the initial embeddings",
        json_schema_extra=MORE | searched(Range(low=0.01, high=0.3, log=True)),
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.embedding_dim % self.heads:
            raise ValueError(f"heads is {self.heads}, which does not divide embedding_dim {self.embedding_dim}; choose 1, 2 or 4.")
        return self

    def selection_metric(self, task: Task) -> str:
        return "ndcg_at_10"

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        missing = [side for side, there in (("user", schema.has_users), ("item", schema.has_items)) if not there]
        if missing:
            return (
                f"{self.label} reads what each user liked in order of time, and this dataset has no {' and no '.join(missing)}; "
                "choose a ranker such as DLRM."
            )
        return super().refusal(schema, label)

    @property
    def order_length(self) -> int:
        return self.length

    @property
    def liked_only(self) -> bool:
        return True

    @property
    def table_rate(self) -> float:
        return 0.05

    @property
    def sampling(self) -> Sampling:
        return Sampling(draw=self.draw, candidates=self.num_negatives)

    @property
    def title(self) -> str:
        return " · ".join([self.label, self.loss, f"length {self.length}", f"dim {self.embedding_dim}"])

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        dim, rows = self.embedding_dim, schema.feature(ITEM_ID).num_rows
        block = linear([dim, 3 * dim]) + 3 * linear([dim, dim]) + 4 * dim
        return Footprint(
            (TableSize(ITEM_ID, rows, dim), TableSize("item_bias", rows, BIAS_DIM)), self.blocks * block + (self.length + 2) * dim
        )

    def pairs_of_step(self, rows: int, ranks: int) -> int:
        # logits, their gradients and the mask; and what the layers of each block keep for the backward pass
        return rows * (3 * self.num_negatives + 14 * self.blocks * self.embedding_dim)

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        from workers.networks import SASRec

        return SASRec(self, schema)
