"""The model registry: a file in this folder that defines a ModelSpec with a `kind` is registered by being there."""

from importlib import import_module
from pkgutil import iter_modules

from workers.specs import ModelSpec


def discover() -> dict[str, type[ModelSpec]]:
    """Every ModelSpec declared in this package, by kind."""
    found: dict[str, type[ModelSpec]] = {}
    for module in iter_modules(__path__):
        declared = import_module(f"{__name__}.{module.name}")
        for value in vars(declared).values():
            own = isinstance(value, type) and issubclass(value, ModelSpec) and value.__module__ == declared.__name__
            if own and not value.model_fields["kind"].is_required():
                found[value.model_fields["kind"].default] = value
    return found


MODELS = discover()
