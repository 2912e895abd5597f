"""From the blocks of a prepared dataset to the batches that a model reads."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
