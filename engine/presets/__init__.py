"""Settings of trainings that people keep in the workspace: by name, and those that were used last."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
