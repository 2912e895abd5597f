"""The searches of runs: what was tried, what came of it, and which settings mattered."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
