"""What would it take? A plan for other counts and other machines, before anything is launched: arithmetic, and no measurement."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
