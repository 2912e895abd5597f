"""The source registry: a file in this folder that defines a SourceSpec with a `kind` is registered by being there."""

from importlib import import_module
from pkgutil import iter_modules

from engine.sources.base import FRAME_LIMIT, SourceSpec, Tables
from workers.prepare import Reading

__all__ = ["FRAME_LIMIT", "SOURCES", "Reading", "SourceSpec", "Tables"]


def discover() -> dict[str, type[SourceSpec]]:
    """Every SourceSpec declared in this package, by kind."""
    sources: dict[str, type[SourceSpec]] = {}
    for module in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, SourceSpec) and value is not SourceSpec:
                sources[value.model_fields["kind"].default] = value
    return sources


SOURCES = discover()
