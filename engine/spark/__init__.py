"""The Spark session of preparations and trainings, and the class archive that lets it start faster."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
