"""The model registry: a file in this folder that defines a ModelSpec with a `kind` is registered by being there."""

from importlib import import_module
from pkgutil import iter_modules

from workers.models.base import MatrixSpec, ModelSpec, NetworkSpec
from workers.models.funnel import RUN_ID, FunnelSpec

__all__ = ["KINDS", "MODELS", "RUN_ID", "FunnelSpec", "MatrixSpec", "ModelSpec", "NetworkSpec"]


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


KINDS = discover()
MODELS = {kind: model for kind, model in KINDS.items() if model.offered}  # those that are trained; a funnel is put together of two
