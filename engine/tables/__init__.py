"""Anybody's table: its paths, how it opens, its delimiters, its values, and guesses of what its columns are."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
