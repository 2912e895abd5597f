"""Why a two-tower is not better: ordered checks of a finished run, each with its evidence and what to do."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
