"""Which settings of a run are searched, over which values, and a run with some of these values."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from workers.models import MatrixSpec, ModelSpec, NetworkSpec
from workers.run import RunSpec, settings_of
from workers.specs import Choice, Choices, Range, Space, TrainSpec, way_of


def usual_space(model: ModelSpec) -> Space:
    """The settings that are searched unless somebody says otherwise: of a model and, where ranks train it, of its training.

    Of a fitted model only those that are left empty.
    """
    fitted = isinstance(model, MatrixSpec)
    parts: list[tuple[str, BaseModel]] = [("model.", model), *([("train.", TrainSpec())] if isinstance(model, NetworkSpec) else [])]
    space: Space = {}
    for prefix, part in parts:
        for name, field in type(part).model_fields.items():
            way = way_of(field.json_schema_extra)
            if way is not None and not (fitted and getattr(part, name) is not None):
                space[prefix + name] = way[0]
    return {name: way for name, way in space.items() if name.partition(".")[2] not in model.unsearched}


def space_of(spec: RunSpec) -> Space:
    """The values that a run's search tries: its own space, or the usual one, each with the run's own value in it."""
    given = spec.search.space if spec.search else None
    space = usual_space(spec.model) if given is None else given
    return {name: _with(way, value) for (name, way), value in zip(space.items(), first_settings(spec, space).values(), strict=True)}


def first_settings(spec: RunSpec, space: Space) -> dict[str, Any]:
    """The settings of the first trial: those of the run, or of a field's metadata where the run has none.

    Raises:
        ValueError: the space names a setting that the run has not.
    """
    known = settings_of(spec)
    if unknown := [name for name in space if name not in known or name.partition(".")[0] not in ("model", "train")]:
        raise ValueError(f"The space of the search has {', '.join(unknown)}, which {spec.model.label} does not have; remove it.")
    return {name: known[name] if known[name] is not None else _first(spec, name) for name in space}


def with_settings(spec: RunSpec, settings: Mapping[str, Any]) -> RunSpec:
    """The run with some settings and without a search; ValueError where these do not go together."""
    plain = spec.model_dump(mode="json")
    for name, value in settings.items():
        part, _, field = name.partition(".")
        plain[part][field] = value
    return RunSpec.model_validate({**plain, "search": None})


def _first(spec: RunSpec, name: str) -> object:
    part, _, field = name.partition(".")
    way = way_of(type(getattr(spec, part)).model_fields[field].json_schema_extra)
    return None if way is None else way[1]


def _with(way: Range | Choices, value: Choice | list[int]) -> Range | Choices:
    """A way that has a value among its own."""
    if isinstance(way, Choices):
        own = tuple(value) if isinstance(value, list) else value
        return way if own in way.choices else Choices(choices=(own, *way.choices))
    if not isinstance(value, int | float) or (way.log and value <= 0):
        return way
    return way.model_copy(update={"low": min(way.low, float(value)), "high": max(way.high, float(value))})
