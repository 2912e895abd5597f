"""The model registry: a file in this folder that defines a ModelSpec with a `kind` is registered by being there."""

from importlib import import_module
from pkgutil import iter_modules

from workers.models.base import FeatureModelSpec, MatrixSpec, ModelSpec, NetworkSpec
from workers.models.base_ranker import RankerSpec
from workers.models.deepfm import DeepFMSpec
from workers.models.dlrm import DLRMSpec
from workers.models.dlrm_dcnv2 import DLRMDCNSpec
from workers.models.footprint import FLOAT, Footprint, TableSize
from workers.models.funnel import RUN_ID, FunnelSpec
from workers.models.lightgbm import FOLDS, MANY, MOST_IN_GROUP, LightGBMSpec
from workers.models.sasrec import SASRecSpec
from workers.models.two_tower import TwoTowerSpec

__all__ = [
    "FLOAT", "FOLDS", "KINDS", "MANY", "MODELS", "MOST_IN_GROUP", "RUN_ID", "DLRMDCNSpec", "DLRMSpec", "DeepFMSpec", "FeatureModelSpec",
    "Footprint", "FunnelSpec", "LightGBMSpec", "MatrixSpec", "ModelSpec", "NetworkSpec", "RankerSpec", "SASRecSpec", "TableSize",
    "TwoTowerSpec",
]  # fmt: skip


def discover() -> dict[str, type[ModelSpec]]:
    """Every ModelSpec declared in this package, by kind."""
    kinds: dict[str, type[ModelSpec]] = {}
    for module in iter_modules(__path__):
        declared = import_module(f"{__name__}.{module.name}")
        for value in vars(declared).values():
            own = isinstance(value, type) and issubclass(value, ModelSpec) and value.__module__ == declared.__name__
            if own and not value.model_fields["kind"].is_required():
                kinds[value.model_fields["kind"].default] = value
    return kinds


KINDS = discover()
MODELS = {kind: model for kind, model in KINDS.items() if model.offered}  # those that are trained; a funnel combines two of them
