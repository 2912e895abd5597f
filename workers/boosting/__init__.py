"""Gradient-boosted trees: their features, their rows, their fit, and the trees as a network that is evaluated and served like others."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
