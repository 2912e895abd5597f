"""Two-tower retrieval: Covington et al., "Deep neural networks for YouTube recommendations", RecSys 2016; Yi et al., RecSys 2019."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from workers.models.base import NetworkSpec
from workers.models.footprint import Footprint, TableSize, linear
from workers.specs import (
    BINARY,
    HISTORY,
    ITEM_ID,
    MORE,
    USER_ID,
    Categorical,
    Choices,
    FeatureSchema,
    Range,
    Sampling,
    Task,
    searched,
)  # fmt: skip

if TYPE_CHECKING:
    from workers.networks import Ranker

USUAL_HISTORY = 100  # likes of a history that is long, after dropout
AGES, HEADS = 18, 4  # numbers by which a history in order weighs likes: groups of ages, heads
POOL = 1024  # items drawn at each step, one of which each row of bpr is set against
BIAS_DIM = 4  # fbgemm wants widths that are multiples of 4; an item's bias is the sum of the four


class TwoTowerSpec(NetworkSpec):
    """A user tower and an item tower whose dot product is the score: cheap retrieval through a vector index."""

    label: ClassVar[str] = "Two-tower"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "retrieval"

    kind: Literal["two_tower"] = "two_tower"
    objective: Literal["softmax", "bpr", "pointwise"] = Field(
        "softmax",
        description="softmax: sampled softmax with logQ correction, learns which items people choose; bpr: each like against one item "
        "drawn from the catalogue (Rendle et al. 2009); pointwise: learns the label of each row (liked or not, the value, the class, "
        "each action), the reference method",
    )
    embedding_dim: int = Field(
        64,
        ge=4,
        le=1024,
        multiple_of=4,
        description="Width of the embeddings and of both towers' output",
        json_schema_extra=searched(Choices(choices=(64, 128, 256))),
    )
    history: bool = Field(True, description="The user tower reads the items that the user liked (where the dataset has a history)")
    history_pooling: Literal["mean", "recency", "attention"] = Field(
        "mean",
        description="How the history becomes one vector. mean: each like counts as much; recency: newer likes count more, as far as "
        "training finds; attention: also by which likes they are. The last two need a dataset whose history_order is before",
        json_schema_extra=searched(Choices(choices=("mean", "recency", "attention"))),
    )
    user_id: bool = Field(False, description="The user tower has an embedding of the user's id, which does not help new users")
    item_features: bool = Field(
        True,
        description="The item tower reads features such as genres and year besides the id",
        json_schema_extra=searched(Choices(choices=(True, False))),
    )
    user_features: bool = Field(
        False,
        description="The user tower reads features such as age and occupation; together with a history they mostly add noise",
        json_schema_extra=searched(Choices(choices=(False, True))),
    )
    user_layers: tuple[int, ...] = Field(
        (), description="Hidden layers of the user tower; empty: features are summed", json_schema_extra=MORE
    )
    item_layers: tuple[int, ...] = Field(
        (), description="Hidden layers of the item tower; empty: features are summed", json_schema_extra=MORE
    )
    similarity: Literal["dot", "cosine"] = Field(
        "dot", description="How the outputs of the two towers are compared", json_schema_extra=MORE
    )
    temperature: float = Field(
        1.0, gt=0, le=10, description="Similarities are divided by it; about 0.05 to 0.2 with cosine", json_schema_extra=MORE
    )
    history_dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="Share of the history's items that each training step leaves out",
        json_schema_extra=MORE | searched(Range(low=0.2, high=0.8)),
    )
    uniform_negatives: int = Field(
        0,
        ge=0,
        le=100_000,
        description="softmax: negatives drawn uniformly from the catalogue at each step, in addition to those of the batch; bpr: items "
        f"drawn at each step, one of which each row takes; 0: {POOL:,}",
        json_schema_extra=MORE | searched(Choices(choices=(0, 256, 1024))),
    )
    mask_history: bool = Field(
        True, description="softmax, bpr: items of a user's history are not used as negatives for that user", json_schema_extra=MORE
    )
    explicit_negatives: float = Field(
        0.0,
        ge=0,
        le=100,
        description="softmax, bpr: weight of a logistic loss on the rows that the user disliked; 0 leaves those rows out",
        json_schema_extra=MORE,
    )
    init_std: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Standard deviation of the initial embeddings",
        json_schema_extra=MORE | searched(Range(low=0.01, high=0.2, log=True)),
    )

    @field_validator("objective", mode="before")
    @classmethod
    def _older_name(cls, value: object) -> object:
        return "pointwise" if value == "bce" else value

    def selection_metric(self, task: Task) -> str:
        return "ndcg_at_10" if self.learns_choice else super().selection_metric(task)

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        missing = [side for side, there in (("user", schema.has_users), ("item", schema.has_items)) if not there]
        if missing:
            return (
                f"A two-tower needs a user and an item to have a tower for, and this dataset has no {' and no '.join(missing)}; "
                "choose a ranker such as DLRM."
            )
        return super().refusal(schema, label)

    @property
    def unsearched(self) -> frozenset[str]:
        own = () if self.history else ("history_dropout", "history_pooling")
        choice = () if self.objective == "softmax" else ("uniform_negatives",)
        return frozenset((*own, *choice, *(() if self.user_layers or self.item_layers else ("dense_learning_rate",))))

    @property
    def learns_choice(self) -> bool:
        return self.objective != "pointwise"

    @property
    def liked_only(self) -> bool:
        return self.learns_choice and self.explicit_negatives == 0

    @property
    def table_rate(self) -> float:
        return 0.1

    @property
    def sampling(self) -> Sampling | None:
        drawn = {"softmax": self.uniform_negatives, "bpr": self.uniform_negatives or POOL, "pointwise": 0}[self.objective]
        return Sampling(draw="uniform", candidates=drawn) if drawn else None

    @property
    def title(self) -> str:
        history = "history" if self.history_pooling == "mean" else f"history by {self.history_pooling}"
        reads = [word for word, on in ((history, self.history), ("user id", self.user_id)) if on]
        return " · ".join([self.label, self.objective, *reads, f"dim {self.embedding_dim}"])

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        dim, unread = self.embedding_dim, {name for name, on in ((USER_ID, self.user_id), (HISTORY, self.history)) if not on}
        read = [f for f in schema.categorical if self._reads(f) and f.name not in unread]
        tables = [TableSize(f.name, f.num_rows, dim) for f in read]
        bias = TableSize("item_bias", schema.feature(ITEM_ID).num_rows, BIAS_DIM)
        of_user = schema.dense_on("user", "context") if self.user_features else ()
        of_item = schema.dense_on("item") if self.item_features else ()
        count = sum(f.side != "item" for f in read)
        dense = self._tower(count, len(of_user), self.user_layers) + self._tower(len(read) - count, len(of_item), self.item_layers)
        if self.history and schema.has_history and self.history_pooling != "mean":
            dense += AGES * HEADS + (dim * (2 * dim + 1) if self.history_pooling == "attention" else 0)
        if self.objective != "softmax" and task.output != "binary":
            dense += task.outputs * (dim + 2)
        return Footprint((*tables, bias), dense)

    def pairs_of_step(self, rows: int, ranks: int) -> int:
        # logits, their gradients, and the masks; and of a history in order the embeddings of likes, weighted and not, and their gradients
        liked = 4 * rows * USUAL_HISTORY * self.embedding_dim if self.history and self.history_pooling != "mean" else 0
        return liked + (3 * rows * (rows + self.uniform_negatives) * ranks if self.objective == "softmax" else 0)

    def _reads(self, feature: Categorical) -> bool:
        return feature.name in (USER_ID, HISTORY, ITEM_ID) or (self.item_features if feature.side == "item" else self.user_features)

    def _tower(self, features: int, dense: int, layers: tuple[int, ...]) -> int:
        deep = linear([self.embedding_dim * (features + bool(dense)), *layers, self.embedding_dim]) if layers else 0
        return dense * self.embedding_dim + deep

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        from workers.networks import TwoTower

        return TwoTower(self, schema, task)
