"""Locks of a workspace that several processes, users and machines share: an error names whoever holds the lock."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
