"""Registered models: finished runs in MLflow's model registry, from which a stock `mlflow models serve` serves them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
