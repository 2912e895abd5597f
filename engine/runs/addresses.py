"""Addresses of stores: which can be one, and whether the server behind it answers now."""

import re
import time
from typing import TYPE_CHECKING

from engine.runs.store_errors import SERVERS, StoreError
from workers.specs import mask

if TYPE_CHECKING:
    from engine.settings import Settings

CONNECT_S = 4  # in which a database must take a connection: with the start of Python, the message comes within 10 s
ASK_AGAIN_S = 5.0  # how long an answer of a database is trusted: a call to one that hangs would never return
POSSIBLE = "http:// or https:// (an MLflow server), postgresql://, mysql+pymysql:// or sqlite:/// (a database), databricks"
_answered: dict[str, float] = {}  # address -> when it answered last


def check(where: "Settings") -> None:
    """StoreError where the address of the store is none that MLflow takes; says which to write."""
    address, shown = where.store, mask(where.store)
    scheme, colon, rest = address.partition("://")
    if is_databricks(address):
        return
    if scheme == "postgres" and colon:
        raise StoreError(f"The store {shown} begins with postgres://; write postgresql://{mask(rest)} in RECBENCH_TRACKING_URI.")
    if scheme.split("+")[0] not in ("http", "https", "sqlite", *SERVERS) or not colon:
        raise StoreError(f"RECBENCH_TRACKING_URI is {shown}, which is no store of runs: give {POSSIBLE}; or unset it.")


def is_databricks(address: str) -> bool:
    """Whether an address is of the MLflow of a Databricks workspace: databricks, or databricks://profile."""
    return address == "databricks" or address.startswith("databricks://")


def is_database_server(address: str) -> bool:
    """Whether an address is of a database that a server keeps, not of a file or of an MLflow server."""
    return address.split("://")[0].split("+")[0] in SERVERS


def with_timeout(address: str) -> str:
    """The address of a database on a server, in which each new connection gives up after CONNECT_S; others as they are."""
    if not re.match(r"(postgresql|mysql)(\+\w+)?://", address) or "connect_timeout=" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}connect_timeout={CONNECT_S}"


def ask(address: str) -> None:
    """Connect to a database on a server, unless it answered within ASK_AGAIN_S; raises what SQLAlchemy raises.

    MLflow tries for 100 s before it says that there is none, and a connection that it has kept never says so.
    """
    if not is_database_server(address) or time.monotonic() - _answered.get(address, float("-inf")) < ASK_AGAIN_S:
        return
    from sqlalchemy import create_engine

    engine = create_engine(with_timeout(address))
    try:
        engine.connect().close()
    finally:
        engine.dispose()
    _answered[address] = time.monotonic()
