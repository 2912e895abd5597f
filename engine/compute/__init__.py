"""Where runs compute: machines, cores, memory and GPUs of a Spark cluster, the Python that it runs, and computes that are kept by name."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
