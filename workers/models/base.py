"""The base classes of model specs, which every file in this folder declares."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator

from workers.specs import MORE, Choices, Range, Spec, way_of

if TYPE_CHECKING:
    from workers.matrices import MatrixModel
    from workers.networks import Ranker
from workers.models.footprint import Footprint
from workers.specs import BINARY, ITEM_ID, FeatureSchema, Sampling, Task


class ModelSpec(Spec):
    """Base of the model specs in `workers/models/`: architecture and objective, nothing about the run.

    A subclass sets `kind` to a Literal with a default and `label` to the name that people use. It is a NetworkSpec, a MatrixSpec or
    a FunnelSpec.
    """

    label: ClassVar[str]
    stage: ClassVar[Literal["retrieval", "ranking"]]
    offered: ClassVar[bool] = True  # whether forms and specs offer to train it on its own
    seeded: ClassVar[bool] = True  # whether another seed gives another model
    reads_order: ClassVar[bool] = False  # whether the model reads the likes of people in order of time: the sequences of a dataset
    module: ClassVar[str | None] = None  # the module that one process runs, where ranks under TorchDistributor do not train the model
    step: ClassVar[str] = "epoch"  # what its validation is drawn over
    keeps: ClassVar[bool] = False  # whether a training that is stopped leaves a checkpoint, which a later attempt takes up
    kind: str

    def fitted(self, schema: FeatureSchema) -> Self:
        """The model on a given dataset: without a history where the dataset has none."""
        reads = "history" in type(self).model_fields and not schema.has_history
        return self.model_copy(update={"history": False}) if reads else self

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        """Why this model cannot be trained on a dataset, and what to do instead, in a sentence; None when it can.

        Args:
            label: of the dataset's manifest: kind, output, classes, liked, threshold.
        """
        if self.reads_order and schema.sequence is None:
            return (
                f"{self.label} reads what each user liked in order of time, and this dataset was prepared before that was stored; choose "
                "another model, or prepare it again."
            )
        if self.reads_order and not schema.sequence:
            return (
                f"{self.label} reads what each user liked in order of time, and this dataset has no such order: its rows have no times, or "
                "it was prepared with sequence 0. Choose a model without order, such as EASE or a two-tower, or map a column of times."
            )
        return None

    def footprint(self, schema: FeatureSchema, task: Task = BINARY) -> Footprint | None:
        """How large the model is on a dataset that it accepts; None: it does not tell, and is counted by building it. Imports no torch."""
        return None

    @property
    def learns_choice(self) -> bool:
        """Whether the objective sets liked items against the catalogue: the scores then rank items and predict no label."""
        return True

    @property
    def predicts_label(self) -> bool:
        """Whether the scores predict what a row of the data holds, so that a log loss or an error means something."""
        return not self.learns_choice

    @property
    def most_rows_read(self) -> int | None:
        """Rows of train that it learns from at most; None: all of them."""
        return None

    @property
    def unsearched(self) -> frozenset[str]:
        """Settings of the model and of its training that do nothing as the model is set, so that a search leaves them alone."""
        return frozenset()

    @property
    def title(self) -> str:
        """A short name that says what sets this model apart."""
        return self.label


class MatrixSpec(ModelSpec):
    """A model that is fitted at once, in one process, from the matrix of who liked what; `workers/training/fit.py` runs it."""

    module: ClassVar[str | None] = "workers.training.fit"

    def build(self) -> "MatrixModel":
        """The model, not yet fitted; no setting may be None; imports scipy."""
        raise NotImplementedError

    @classmethod
    def searchable(cls) -> dict[str, Range | Choices]:
        """The settings that may be left empty, with the values that are then searched."""
        ways = {name: way_of(field.json_schema_extra) for name, field in cls.model_fields.items()}
        return {name: way[0] for name, way in ways.items() if way}

    @property
    def open_settings(self) -> tuple[str, ...]:
        """The settings that are left empty, so that validation chooses them."""
        return tuple(name for name in self.searchable() if getattr(self, name) is None)

    @property
    def title(self) -> str:
        optional = [name for name, field in type(self).model_fields.items() if field.default is None]
        named = [f"{name} {value}" for name in optional if (value := getattr(self, name)) is not None]
        return " · ".join([self.label, *named, *(["tuned"] if self.open_settings else [])])

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        missing = [side for side, there in (("user", schema.has_users), ("item", schema.has_items)) if not there]
        if missing:
            return f"{self.label} counts who liked what, and this dataset has no {' and no '.join(missing)}; choose a ranker such as DLRM."
        return super().refusal(schema, label)


class FeatureModelSpec(ModelSpec):
    """A model that reads features of rows, and may do without some of them."""

    without: tuple[str, ...] = Field(
        (),
        max_length=200,
        description="Features of the dataset that are not read, such as those that pay nothing in a test of features; of LightGBM, user_id "
        "is how much each user rated and liked",
        json_schema_extra=MORE,
    )

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        there = [*(f.name for f in schema.categorical if f.name != ITEM_ID), *(f.name for f in schema.dense)]
        if foreign := [name for name in self.without if name not in there]:
            return f"without names {', '.join(foreign)}; of this dataset's features a ranker can do without {', '.join(there) or 'none'}."
        return super().refusal(schema, label)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The part of the title that says so; empty where everything is read."""
        few = self.without[0] if len(self.without) == 1 else f"{len(self.without)} features"
        return (f"without {few}",) if self.without else ()


class NetworkSpec(ModelSpec):
    """A network that learns from batches by gradient steps; TorchDistributor starts its ranks, which run `workers.training`."""

    keeps: ClassVar[bool] = True
    table_epsilon: ClassVar[float] = 1e-8  # of the tables' optimizer where the run gives none

    action_weights: tuple[float, ...] = Field(
        (),
        max_length=1000,
        description="With several actions: the weight of each in loss and ranking, in the dataset's order; empty: 1 each in the loss, and "
        "the ranking counts the actions that mean a like",
        json_schema_extra=MORE,
    )

    @field_validator("action_weights")
    @classmethod
    def _some_weight(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if weights and (min(weights) < 0 or sum(weights) == 0):
            raise ValueError(f"action_weights is {', '.join(map(str, weights))}; choose numbers from 0 on, one of them above 0.")
        return weights

    def selection_metric(self, task: Task) -> str:
        """The validation metric that picks the best epoch; it depends on the objective."""
        return {"binary": "auc", "regression": "rmse", "multi_class": "class_log_loss", "actions": "action_log_loss"}[task.output]

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        if not schema.categorical:
            return f"{self.label} reads embeddings of ids and categories, and this dataset has none; map a category, a user or an item."
        if not self.learns_choice and label.get("kind") == "implicit":
            return (
                f"{self.label} learns to tell liked rows from others, and here every row is liked: there is nothing to tell apart. "
                "Choose a two-tower with the softmax objective, or a ranker with negatives from the catalogue."
            )
        if self.action_weights and len(self.action_weights) != (
            n := len(label.get("classes", ())) if label.get("output") == "actions" else 0
        ):
            return f"action_weights has {len(self.action_weights)} numbers, but this dataset predicts {n} actions; leave it empty."
        return super().refusal(schema, label)

    @property
    def table_rate(self) -> float:
        """Learning rate of the tables where the run gives none; larger for objectives of choice, whose loss is spread over many items."""
        return 0.1 if self.learns_choice else 0.02

    @property
    def liked_only(self) -> bool:
        """Whether the objective learns from liked interactions alone, so that others need not be read."""
        return False

    @property
    def learns_choice(self) -> bool:
        return self.liked_only

    @property
    def order_length(self) -> int:
        """Newest likes that it reads of a person, in order of time; 0 for a model that reads no order."""
        return 0

    @property
    def sampling(self) -> Sampling | None:
        """The items that each step draws from the catalogue; None for none."""
        return None

    def pairs_of_step(self, rows: int, ranks: int) -> int:
        """Numbers that a step holds for pairs of a row and a candidate, beside the embeddings of both. rows: of each of the `ranks`."""
        return 0

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        """The network, on CPU, with fresh weights; imports torch."""
        raise NotImplementedError
