"""The nouns that cross a process boundary: frozen pydantic models that check, explain and serialise themselves.

Field metadata is read by the form, the command line and the checks alike: bounds from `Field`, the help text from
`description`, and `json_schema_extra={"group": "more"}` marks settings that a form folds away.
"""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, Field, SerializeAsAny, ValidationError, field_validator

from workers.models import KINDS, MatrixSpec, ModelSpec, NetworkSpec
from workers.specs import MORE, FeatureSchema, Protocol, SearchSpec, Spec, TrainSpec, explain, way_of

__all__ = ["MORE", "Protocol", "Spec", "TrainSpec", "explain"]  # defined elsewhere, exported from here too


class RunSpec(Spec):
    """One training run: which prepared dataset, which model, how to train, how to measure."""

    name: str | None = Field(None, max_length=120, description="Name shown in tables; empty: the model and the settings that set it apart")
    dataset: str = Field(description="Id of a prepared dataset", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,100}$")
    model: SerializeAsAny[ModelSpec]
    train: TrainSpec = TrainSpec()
    protocol: Protocol = Protocol()
    search: SearchSpec | None = Field(None, description="Settings are searched on validation, and the best are measured; empty: as given")
    continues: str | None = Field(
        None, pattern=r"^[0-9a-f]{32}$", description="Id of an ended run that this one continues, from its best weights, for more epochs"
    )

    @field_validator("model", mode="before")
    @classmethod
    def _by_kind(cls, value: object) -> object:
        return pick(value, KINDS, "model")

    @property
    def title(self) -> str:
        """Its name, or the model and what sets it apart: of settings that are searched only that they are tuned; and its share of users."""
        title, share = self.name or self._title_of_model, self.train.user_share
        return title if share >= 1 else f"{title} · {100 * share:.3g} % of users"

    @property
    def _title_of_model(self) -> str:
        if self.search is None or isinstance(self.model, MatrixSpec):  # the title of a fitted model says itself that it is tuned
            return self.model.title
        varied = [_another_way(self.model, name).title.split(" · ") for name in self._searched_of_model()]
        settled = [part for part in self.model.title.split(" · ") if all(part in parts for parts in varied)]
        return " · ".join([*settled, "tuned"])

    def _searched_of_model(self) -> list[str]:
        """The fields of the model that the search varies."""
        fields, space = type(self.model).model_fields, self.search.space if self.search else None
        return [name for name, field in fields.items() if (way_of(field.json_schema_extra) if space is None else f"model.{name}" in space)]

    def resolved(self, schema: FeatureSchema) -> Self:
        """The run on a given dataset: settings that were left to the model have values, and no history is read where there is none."""
        model, train = self.model.fitted(schema), self.train
        if isinstance(model, NetworkSpec):
            usual = {"table_learning_rate": model.table_rate, "table_epsilon": model.table_epsilon}
            train = train.model_copy(update={name: value for name, value in usual.items() if getattr(train, name) is None})
        return self.model_copy(update={"model": model, "train": train})

    @property
    def budget(self) -> SearchSpec | None:
        """The search that the run makes: its own, or the usual one for a fitted model with settings that are left empty."""
        empty = isinstance(self.model, MatrixSpec) and bool(self.model.open_settings)
        return self.search or (SearchSpec() if empty else None)

    @property
    def network(self) -> NetworkSpec:
        """The spec of a model that ranks train; TypeError for one that is fitted at once."""
        if not isinstance(self.model, NetworkSpec):
            raise TypeError(f"{self.model.label} is fitted at once, not trained by ranks.")
        return self.model


def _another_way(model: ModelSpec, name: str) -> ModelSpec:
    """A model with another value of a setting, unchecked, to see which parts of its title name that setting."""
    value = getattr(model, name)
    return model.model_copy(update={name: (not value) if isinstance(value, bool) else "another" if isinstance(value, str) else -1})


def pick(value: object, registry: Mapping[str, type[BaseModel]], noun: str) -> object:
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


def settings_of(spec: BaseModel, prefix: str = "") -> dict[str, Any]:
    """The leaves of a spec under dotted names: {'model.kind': 'dlrm', 'train.epochs': 3, ...}."""
    leaves: dict[str, Any] = {}
    for name, value in spec:
        if isinstance(value, BaseModel):
            leaves |= settings_of(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = list(value) if isinstance(value, tuple) else value
    return leaves
