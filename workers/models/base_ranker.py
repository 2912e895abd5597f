"""What the rankers share: settings, and the datasets that they refuse."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from workers.models.base import FeatureModelSpec, NetworkSpec
from workers.models.footprint import Footprint, TableSize, linear
from workers.specs import BINARY, HISTORY, MORE, Choices, FeatureSchema, Range, Sampling, Task, searched

WIDE_DIM = 4  # fbgemm wants widths that are multiples of 4; a first-order weight is the sum of the four
POOL = 1024  # items drawn at each step, some of which are each row's negatives


class RankerSpec(FeatureModelSpec, NetworkSpec):
    """A ranker: reads every feature of users and items, and predicts the label of a row."""

    stage: ClassVar[Literal["retrieval", "ranking"]] = "ranking"

    embedding_dim: int = Field(
        16,
        ge=4,
        le=1024,
        multiple_of=4,
        description="Width of every embedding",
        json_schema_extra=searched(Choices(choices=(8, 16, 32, 64))),
    )
    negatives: Literal["none", "uniform", "popularity"] = Field(
        "none",
        description="none: learns from the rows of the data alone, and predicts their labels best; uniform, popularity: sampled softmax of "
        "each liked row against items drawn from the catalogue, which suits ranking the catalogue",
    )
    num_negatives: int = Field(
        20, ge=1, le=POOL, description="Negatives drawn from the catalogue for each liked row", json_schema_extra=MORE
    )
    history: bool = Field(True, description="Read the items that the user liked (where the dataset has a history)")
    history_dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="With negatives from the catalogue: share of the history's items that each training step leaves out",
        json_schema_extra=MORE | searched(Range(low=0, high=0.9)),
    )
    first_order: bool = Field(True, description="Besides its embedding, every value of a category has a weight that is added to the logits")
    dense_layers: tuple[int, ...] = Field(
        (64,), description="Hidden layers over the dense features, before the interaction", json_schema_extra=MORE
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of the interactions dropped in training",
        json_schema_extra=MORE | searched(Range(low=0, high=0.5)),
    )
    init_std: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Standard deviation of the initial embeddings",
        json_schema_extra=MORE | searched(Range(low=0.005, high=0.2, log=True)),
    )

    def selection_metric(self, task: Task) -> str:
        return super().selection_metric(task) if self.negatives == "none" else "ndcg_at_10"

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        if self.negatives != "none":
            if not schema.can_rank:
                return f"negatives is {self.negatives}, but this dataset has no catalogue of items for users; choose none."
            if label.get("output", "binary") not in ("binary", "actions"):
                return f"negatives is {self.negatives}, but an item that was not rated has no {label['output']} target; choose none."
        return super().refusal(schema, label)

    @property
    def unsearched(self) -> frozenset[str]:
        return frozenset() if self.history and self.learns_choice else frozenset({"history_dropout"})

    @property
    def learns_choice(self) -> bool:
        return self.negatives != "none"

    @property
    def sampling(self) -> Sampling | None:
        return Sampling(draw=self.negatives, candidates=POOL) if self.negatives != "none" else None

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint | None:
        unread = {*self.without, *(() if self.history else (HISTORY,))}
        read = [f for f in schema.categorical if f.name not in unread]
        numbers = sum(f.name not in unread for f in schema.dense)
        tables = [TableSize(f.name, f.num_rows, self.embedding_dim) for f in read]
        wide = [TableSize(f"wide:{f.name}", f.num_rows, WIDE_DIM) for f in read] if self.first_order else []
        dense = linear([numbers, *self.dense_layers, self.embedding_dim]) if numbers else self.embedding_dim
        if self.first_order:
            dense += (WIDE_DIM + numbers) * task.outputs
        interaction = self.interaction_parameters(len(read), task.outputs)
        return None if interaction is None else Footprint((*tables, *wide), dense + interaction)

    def pairs_of_step(self, rows: int, ranks: int) -> int:
        return 3 * rows * (POOL + self.num_negatives * self.embedding_dim) if self.negatives != "none" else 0

    def interaction_parameters(self, features: int, outputs: int) -> int | None:
        """Parameters of what combines the embeddings of `features` categorical features and of the dense ones; None: not told."""
        return None

    @property
    def title(self) -> str:
        parts = [self.label, *(["history"] if self.history else []), *([f"{self.negatives} negatives"] if self.learns_choice else [])]
        return " · ".join([*parts, *self.left_out, f"dim {self.embedding_dim}"])
