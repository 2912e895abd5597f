"""What a run will take, and whether this machine has it: judged before anything is queued, from spec and manifest alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
