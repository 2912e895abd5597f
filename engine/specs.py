"""The specs and registries of the workers that pages and the command line build from."""

from workers.artifacts import METRICS, Metric, metric
from workers.models import MODELS, MatrixSpec, ModelSpec, NetworkSpec
from workers.run import RunSpec, settings_of
from workers.specs import TARGETS, FeatureSchema, Protocol, Spec, Target, Task, TrainSpec, explain, mask

__all__ = [
    "METRICS", "MODELS", "TARGETS", "FeatureSchema", "MatrixSpec", "Metric", "ModelSpec", "NetworkSpec", "Protocol", "RunSpec", "Spec",
    "Target", "Task", "TrainSpec", "explain", "mask", "metric", "settings_of",
]  # fmt: skip
