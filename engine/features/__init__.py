"""Which features of a finished run pay, and the run that does without those that do not."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
