"""The search for settings: what is tried, what came of it, and what is tried next."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
