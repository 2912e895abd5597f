"""The first rows of a source, prepared with pandas as `engine.prepare` prepares all of them with Spark."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
