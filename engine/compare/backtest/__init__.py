"""Will it hold next month? The same contenders over rolling cuts in time, and how fast a model grows stale."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
