"""Tables from anywhere: paths, formats, delimiters and values, and guesses of what the columns mean."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
