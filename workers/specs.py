"""The nouns that cross a process boundary: frozen pydantic models that check, explain and serialise themselves.

Field metadata is read by the form, the command line and the checks alike: bounds from `Field`, the help text from
`description`, and `json_schema_extra={"group": "more"}` marks settings that a form folds away.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, SerializeAsAny, ValidationError, field_validator

from workers.protocol import Protocol
from workers.spec import MORE, Spec, explain
from workers.training import TrainSpec

if TYPE_CHECKING:
    from workers.modules.matrix import MatrixModel
    from workers.modules.ranker import Ranker

__all__ = ["MORE", "Protocol", "Spec", "TrainSpec", "explain"]  # made elsewhere, known from here

Side = Literal["user", "item", "context"]
Output = Literal["binary", "regression", "multi_class", "actions"]
USER_ID, ITEM_ID, HISTORY = "user_id", "item_id", "history"


class Categorical(Spec):
    """A categorical feature: raw values become rows 1..num_rows-1 of a table; row 0 is the unknown row."""

    name: str
    side: Side
    num_rows: int = Field(ge=1, description="Rows of the vocabulary, the unknown row 0 included")
    multi_valued: bool = Field(False, description="A bag of values: MDS columns <name>.values and <name>.lengths")
    vocabulary: str = Field(description="The vocabulary that the rows belong to; the history shares item_id's")


class Dense(Spec):
    """A dense feature, standardised with the mean and standard deviation of train; a missing value is 0."""

    name: str
    side: Side
    mean: float
    std: float


class FeatureSchema(Spec):
    """What a row of a prepared dataset holds; the order of features here is the order everywhere."""

    categorical: tuple[Categorical, ...]
    dense: tuple[Dense, ...] = ()

    def on(self, *sides: Side) -> tuple[Categorical, ...]:
        """The categorical features of some sides, in schema order."""
        return tuple(f for f in self.categorical if f.side in sides)

    def dense_on(self, *sides: Side) -> tuple[int, ...]:
        """Positions in `dense` of the features of some sides."""
        return tuple(k for k, f in enumerate(self.dense) if f.side in sides)

    def feature(self, name: str) -> Categorical:
        """The categorical feature of a name; LookupError when there is none."""
        for feature in self.categorical:
            if feature.name == name:
                return feature
        raise LookupError(f"No categorical feature {name!r}; there are {', '.join(f.name for f in self.categorical)}.")

    def has(self, name: str) -> bool:
        """Whether there is a categorical feature of a name."""
        return any(f.name == name for f in self.categorical)

    @property
    def has_history(self) -> bool:
        return self.has(HISTORY)

    @property
    def has_users(self) -> bool:
        return self.has(USER_ID)

    @property
    def has_items(self) -> bool:
        return self.has(ITEM_ID)

    @property
    def can_rank(self) -> bool:
        """Whether there is somebody to rank for and something to rank."""
        return self.has_users and self.has_items


class Task(Spec):
    """What a dataset's label rule gives models to predict."""

    output: Output = "binary"
    classes: tuple[str, ...] = ()
    liked: tuple[str, ...] = ()
    mean: float | None = None

    @classmethod
    def of(cls, label: Mapping[str, Any]) -> Self:
        """From the `label` of a dataset's manifest; older manifests know of no outputs but the binary one."""
        return cls.model_validate({name: label[name] for name in cls.model_fields if label.get(name) is not None})

    @property
    def outputs(self) -> int:
        """Logits a row, O."""
        return len(self.classes) if self.output in ("multi_class", "actions") else 1


BINARY = Task()


class ModelSpec(Spec):
    """Base of the model specs in `workers/models/`: architecture and objective, nothing about the run.

    A subclass sets `kind` to a Literal with a default and `label` to the name that people say. It is a NetworkSpec, a MatrixSpec or
    a FunnelSpec.
    """

    label: ClassVar[str]
    stage: ClassVar[Literal["retrieval", "ranking"]]
    module: ClassVar[str | None] = None  # what one process runs instead of ranks under TorchDistributor
    kind: str

    def fitted(self, schema: FeatureSchema) -> Self:
        """The model as it will be on a dataset: one that would read a history does without where there is none."""
        reads = "history" in type(self).model_fields and not schema.has_history
        return self.model_copy(update={"history": False}) if reads else self

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        """Why this model cannot be trained on a dataset, and what to do instead; None when it can.

        Args:
            label: of the dataset's manifest: kind, output, classes, liked, threshold.
        """
        return None

    @property
    def title(self) -> str:
        """A short name that says what sets this model apart."""
        return self.label


class MatrixSpec(ModelSpec):
    """A model that is fitted at once, in one process, from the matrix of who liked what; `workers/fit.py` runs it."""

    module: ClassVar[str | None] = "workers.fit"
    tuned: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # setting: the values tried on validation where it is None

    def build(self) -> "MatrixModel":
        """The model, not yet fitted; no setting may be None; imports scipy."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        given = {name: getattr(self, name) for name in self.tuned}
        said = [f"{name} {value}" for name, value in given.items() if value is not None]
        return " · ".join([self.label, *said, *(["tuned"] if None in given.values() else [])])

    def refusal(self, schema: FeatureSchema, label: Mapping[str, Any]) -> str | None:
        missing = [side for side, there in (("user", schema.has_users), ("item", schema.has_items)) if not there]
        if missing:
            return f"{self.label} counts who liked what, and this dataset has no {' and no '.join(missing)}; choose a ranker such as DLRM."
        return super().refusal(schema, label)


class Sampling(Spec):
    """Items drawn from the catalogue at each step, as candidates for all of its rows."""

    draw: Literal["uniform", "popularity"]
    candidates: int


class NetworkSpec(ModelSpec):
    """A network that learns from batches by gradient steps; TorchDistributor starts its ranks, `workers/train.py` is one of them."""

    table_epsilon: ClassVar[float] = 1e-8  # of the tables' optimizer where the run names none

    action_weights: tuple[float, ...] = Field(
        (),
        max_length=1000,
        description="Where several actions are predicted: weight of each in loss and ranking, in the dataset's order; empty: 1 each in "
        "the loss, and those that count as liked rank",
        json_schema_extra=MORE,
    )

    @field_validator("action_weights")
    @classmethod
    def _some_weight(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if weights and (min(weights) < 0 or sum(weights) == 0):
            raise ValueError(f"action_weights is {', '.join(map(str, weights))}; choose numbers from 0 on, one of them above 0.")
        return weights

    def selection_metric(self, task: Task) -> str:
        """The validation metric that picks the best epoch; it fits the objective."""
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
        """Learning rate of the tables where the run names none: choice, whose loss is spread over many items, wants a larger one."""
        return 0.1 if self.learns_choice else 0.02

    @property
    def liked_only(self) -> bool:
        """Whether the objective learns from liked interactions alone, so that others need not be read."""
        return False

    @property
    def learns_choice(self) -> bool:
        """Whether the objective sets liked items against the catalogue: the logits then rank, and foretell no row of the data."""
        return self.liked_only

    @property
    def sampling(self) -> Sampling | None:
        """What is drawn from the catalogue at each step; None for nothing."""
        return None

    def build(self, schema: FeatureSchema, task: Task = BINARY) -> "Ranker":
        """The network, on CPU, with fresh weights; imports torch."""
        raise NotImplementedError


class RunSpec(Spec):
    """One training run: which prepared dataset, which model, how to train, how to measure."""

    name: str | None = Field(None, max_length=120, description="Name shown in tables; empty: what sets the model apart")
    dataset: str = Field(description="Id of a prepared dataset", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$")
    model: SerializeAsAny[ModelSpec]
    train: TrainSpec = TrainSpec()
    protocol: Protocol = Protocol()
    continues: str | None = Field(
        None, pattern=r"^[0-9a-f]{32}$", description="Id of a finished run whose weights this one goes on from, for more epochs"
    )

    @field_validator("model", mode="before")
    @classmethod
    def _by_kind(cls, value: Any) -> Any:
        from workers.funnel_spec import FunnelSpec
        from workers.models import MODELS

        return pick(value, MODELS | {"funnel": FunnelSpec}, "model")

    @property
    def title(self) -> str:
        return self.name or self.model.title

    def resolved(self, schema: FeatureSchema) -> Self:
        """The run as it will be on a dataset: what was left to the model is a number, and no history is read where there is none."""
        model, train = self.model.fitted(schema), self.train
        if isinstance(model, NetworkSpec):
            usual = {"table_learning_rate": model.table_rate, "table_epsilon": model.table_epsilon}
            train = train.model_copy(update={name: value for name, value in usual.items() if getattr(train, name) is None})
        return self.model_copy(update={"model": model, "train": train})

    @property
    def network(self) -> NetworkSpec:
        """The model, where ranks train it; TypeError for one that is fitted at once."""
        if not isinstance(self.model, NetworkSpec):
            raise TypeError(f"{self.model.label} is fitted at once, not trained by ranks.")
        return self.model


def pick(value: Any, registry: Mapping[str, type[Any]], noun: str) -> Any:
    """Turn a mapping with a `kind` into the spec class registered under it; ValueError names the known kinds."""
    if not isinstance(value, dict):
        return value
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in registry:
        raise ValueError(f"Unknown {noun} {kind!r}; this checkout has {', '.join(sorted(registry))}.")
    try:
        return registry[kind].model_validate(value)
    except ValidationError as error:
        raise ValueError(explain(error)) from error


def settings(spec: BaseModel, prefix: str = "") -> dict[str, Any]:
    """The leaves of a spec under dotted names: {'model.kind': 'dlrm', 'train.epochs': 3, ...}."""
    leaves: dict[str, Any] = {}
    for name, value in spec:
        if isinstance(value, BaseModel):
            leaves |= settings(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = list(value) if isinstance(value, tuple) else value
    return leaves
