"""Prepared datasets: their spec, their rules, their audit, and how they are read."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
