"""What more data gives: learning curves over shares of the users, their laws, and where two of them cross."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
