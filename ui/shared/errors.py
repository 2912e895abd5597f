"""Errors that no page foresees: their traceback goes to the log of the app, without the passwords and keys in it."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from engine.specs import mask

log = logging.getLogger("ui")


@contextmanager
def masked() -> Iterator[None]:
    """Around a page: an error that holds a password or a key is logged, and raised again, without it."""
    try:
        yield
    except Exception as error:
        trace = traceback.format_exc()
        if mask(trace) == trace:
            raise
        log.error("%s", mask(trace))
        raise RuntimeError(mask(f"{type(error).__name__}: {error}")) from None
