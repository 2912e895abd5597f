"""The nouns that cross a process boundary: frozen pydantic models that check, explain and serialise themselves."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
