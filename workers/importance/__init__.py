"""Which features a finished network needs: each is permuted among test rows, and the metric is measured again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
