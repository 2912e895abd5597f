"""Upkeep of a workspace: its use of the disk, what dead runs left, the trash, deleted for good, and a bundle for a report of a fault."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
