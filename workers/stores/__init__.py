"""Object stores: S3, Google Cloud Storage and Azure, with the credentials of the environment, and sentences for what they refuse."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
