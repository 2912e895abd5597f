"""A model that leaves the workbench: one folder with all that a server needs, and how it answers. Nothing in it is pickled."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
