"""Files of tables, read in parts: delimited lines, JSON lines and Parquet."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
