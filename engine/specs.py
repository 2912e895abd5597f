"""The specs and registries of the workers that pages and the command line build from."""

from workers.artifacts import METRICS, Metric, metric
from workers.models import MODELS, MatrixSpec, ModelSpec, NetworkSpec
from workers.run import RunSpec, settings_of
from workers.search import first_settings, usual_space, with_settings
from workers.specs import (
    TARGETS,
    Choices,
    FeatureSchema,
    Protocol,
    Range,
    SearchSpec,
    Space,
    Spec,
    Target,
    Task,
    TrainSpec,
    explain,
    mask,
)  # fmt: skip

__all__ = [
    "METRICS", "MODELS", "TARGETS", "Choices", "FeatureSchema", "MatrixSpec", "Metric", "ModelSpec", "NetworkSpec", "Protocol", "Range",
    "RunSpec", "SearchSpec", "Space", "Spec", "Target", "Task", "TrainSpec", "explain", "first_settings", "mask", "metric", "settings_of",
    "usual_space", "with_settings",
]  # fmt: skip
