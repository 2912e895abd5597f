"""Towers of a two-tower as files of ONNX, for servers that have neither this workbench nor PyTorch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
