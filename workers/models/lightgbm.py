"""LightGBM: Ke et al., "LightGBM: A highly efficient gradient boosting decision tree", NIPS 2017; LambdaMART: Burges, "From RankNet to
LambdaRank to LambdaMART: An overview", MSR-TR-2010-82, section 7."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from workers.models.base import FeatureModelSpec
from workers.models.footprint import Footprint, TableSize
from workers.specs import BINARY, ITEM_ID, MORE, FeatureSchema, Range, Sampling, Task, searched

FOLDS = 5  # parts of train whose statistics are counted on the others
MANY = 64  # categories from which one is described by counts and means, and values from which a bag is by their number
MOST_IN_GROUP = 10_000  # rows of a user in one group of LambdaMART: LightGBM takes no more


class LightGBMSpec(FeatureModelSpec):
    """Gradient-boosted trees over features, popularity and how an item resembles the history: fast, calibrated, a usual second stage."""

    label: ClassVar[str] = "LightGBM"
    stage: ClassVar[Literal["retrieval", "ranking"]] = "ranking"
    module: ClassVar[str | None] = "workers.training.boost"
    step: ClassVar[str] = "tree"
    keeps: ClassVar[bool] = True

    kind: Literal["lightgbm"] = "lightgbm"
    negatives: Literal["none", "uniform", "popularity"] = Field(
        "none",
        description="none: learns from the rows of the data alone; uniform, popularity: sets each liked row against items drawn from the "
        "catalogue, which suits ranking the catalogue",
    )
    objective: Literal["pointwise", "lambdamart"] | None = Field(
        None,
        description="pointwise: log loss of each row, or the squared error of a value; lambdamart: NDCG of the rows of each user; empty: "
        "lambdamart with negatives, else pointwise",
        json_schema_extra=MORE,
    )
    num_negatives: int = Field(20, ge=1, le=1024, description="Items drawn from the catalogue for each liked row", json_schema_extra=MORE)
    history: bool = Field(True, description="Read the items that the user liked (where the dataset has a history)")
    trees: int = Field(1000, ge=1, le=100_000, description="Maximum number of trees, which validation cuts to the best number")
    patience: int | None = Field(
        50,
        ge=1,
        description="Stop after this many trees without a better validation metric; empty: never stop early",
        json_schema_extra=MORE,
    )
    learning_rate: float = Field(
        0.05, gt=0, le=1, description="Weight of each tree", json_schema_extra=searched(Range(low=0.01, high=0.3, log=True))
    )
    leaves: int = Field(
        31, ge=2, le=4096, description="Leaves of a tree at most", json_schema_extra=searched(Range(low=4, high=255, log=True, whole=True))
    )
    leaf_rows: int = Field(
        20, ge=1, description="Rows of a leaf at least", json_schema_extra=searched(Range(low=5, high=500, log=True, whole=True))
    )
    feature_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of the features that each tree may use",
        json_schema_extra=MORE | searched(Range(low=0.4, high=1)),
    )
    row_share: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Share of the rows that each tree learns from",
        json_schema_extra=MORE | searched(Range(low=0.4, high=1)),
    )
    l2: float = Field(
        1.0,
        ge=0,
        le=1e6,
        description="L2 regularisation of the values of leaves",
        json_schema_extra=MORE | searched(Range(low=0.01, high=100, log=True)),
    )
    smoothing: float = Field(
        20.0, ge=0, le=1e6, description="Rows of the overall mean that are added to the mean label of each category", json_schema_extra=MORE
    )
    neighbours: int = Field(200, ge=1, le=10_000, description="Most similar items kept for each item", json_schema_extra=MORE)
    history_length: int = Field(200, ge=1, le=1000, description="Newest likes that are read of a person", json_schema_extra=MORE)
    most_rows: int = Field(
        5_000_000,
        ge=1000,
        le=1_000_000_000,
        description="Rows that trees learn from at most, drawn items too; of more, a random part is used, and the run says so",
        json_schema_extra=MORE,
    )

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        output = label.get("output", "binary")
        if output == "actions":
            return "LightGBM predicts one output of a row, and this dataset has several actions; choose a ranker such as DLRM."
        if not schema.categorical and not schema.dense:
            return "LightGBM learns from features, and this dataset has none; map a category, a number, a user or an item."
        if self.negatives != "none":
            if not schema.can_rank:
                return f"negatives is {self.negatives}, but this dataset has no catalogue of items for users; choose none."
            if output != "binary":
                return f"negatives is {self.negatives}, but an item that was not rated has no {output} target; choose none."
        elif label.get("kind") == "implicit":
            return (
                "LightGBM learns to tell liked rows from others, and here every row is liked: there is nothing to tell apart. Choose "
                "negatives from the catalogue."
            )
        if self.chosen_objective == "lambdamart" and not schema.has_users:
            return "lambdamart orders the rows of each user, and this dataset has no user; choose the objective pointwise, or map a user."
        return super().refusal(schema, label)

    @property
    def chosen_objective(self) -> Literal["pointwise", "lambdamart"]:
        return self.objective or ("pointwise" if self.negatives == "none" else "lambdamart")

    @property
    def learns_choice(self) -> bool:
        return self.negatives != "none"

    @property
    def predicts_label(self) -> bool:
        return self.chosen_objective == "pointwise" and not self.learns_choice

    @property
    def sampling(self) -> Sampling | None:
        """The items that are drawn for each liked row; None for none."""
        return Sampling(draw=self.negatives, candidates=self.num_negatives) if self.negatives != "none" else None

    @property
    def most_rows_read(self) -> int:
        return max(1, self.most_rows // (1 + (self.num_negatives if self.learns_choice else 0)))

    def selection_metric(self, task: Task) -> str:
        """The validation metric that picks the number of trees. Of probabilities log loss, since AUC may be there before they are right."""
        if not self.predicts_label:
            return "ndcg_at_10" if self.learns_choice else "auc"
        return {"binary": "log_loss", "regression": "rmse", "multi_class": "class_log_loss"}[task.output]

    @property
    def title(self) -> str:
        drawn = [f"negatives {self.negatives}"] if self.learns_choice else []
        parts = [self.label, self.chosen_objective, *drawn, *(["history"] if self.history else [])]
        return " · ".join([*parts, *self.left_out])

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint:
        """Leaves are its parameters; besides, it keeps counts and means of categories, and the neighbours of items. Of the binned matrix, a
        byte for each number of `most_rows` rows is counted, which a smaller dataset does not take."""
        tables = [TableSize(f.name, f.num_rows, 2) for f in schema.categorical if not f.multi_valued and f.num_rows > MANY]
        if self.history and schema.has_items:
            items = schema.feature(ITEM_ID).num_rows
            tables.append(TableSize("neighbours of items", items, min(items, self.neighbours)))
        width = 8 + len(schema.dense) + sum(min(f.num_rows, MANY) if f.multi_valued else 2 for f in schema.categorical)
        counted = 2 * FOLDS * 8 * sum(table.rows for table in tables)
        return Footprint(
            tuple(tables),
            self.trees * self.leaves * (task.outputs if task.output == "multi_class" else 1),
            self.most_rows * width + counted,
        )
