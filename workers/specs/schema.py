"""The features of a prepared dataset, and what models predict."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field

from workers.specs.spec import Spec

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
    """The features of a row of a prepared dataset; they have this order everywhere."""

    categorical: tuple[Categorical, ...]
    dense: tuple[Dense, ...] = ()
    # newest likes in the stored sequence of a user; 0: the dataset has no sequences; None: it was prepared before they were stored
    sequence: int | None = None

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
        """Whether there are users to rank for and items to rank."""
        return self.has_users and self.has_items


class Task(Spec):
    """What models predict: the result of a dataset's label rule."""

    output: Output = "binary"
    classes: tuple[str, ...] = ()
    liked: tuple[str, ...] = ()
    mean: float | None = None

    @classmethod
    def of(cls, label: Mapping[str, Any]) -> Self:
        """From the `label` of a dataset's manifest; in older manifests every output is binary."""
        return cls.model_validate({name: label[name] for name in cls.model_fields if label.get(name) is not None})

    @property
    def outputs(self) -> int:
        """Number of logits of a row, O."""
        return len(self.classes) if self.output in ("multi_class", "actions") else 1


BINARY = Task()
