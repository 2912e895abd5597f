"""What a run leaves behind: the names of its files, its checkpoint, its vector index."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
