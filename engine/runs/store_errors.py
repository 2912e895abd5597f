"""Errors of the store as one sentence that says what to do. Passwords in its address are masked."""

import re
import shlex
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from workers.specs import mask

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from engine.settings import Settings

SQLITE = "sqlite:///"
SERVERS = ("postgresql", "mysql", "mssql")  # databases on servers that MLflow can keep runs in
DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}  # module -> package
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


SILENT_S = 2.0  # a call that takes longer, and fails, waited in vain


class StoreError(RuntimeError, OSError):
    """The store cannot be used now: its message says which, why, and what to do. An OSError too, as other trouble with files is."""


class Silence(NamedTuple):
    """A store on a server that did not answer, and until when nobody asks it again, by the monotonic clock."""

    error: StoreError
    until: float


_silent: dict[str, Silence] = {}  # by address


def database(where: "Settings") -> Path | None:
    """The file of a SQLite store; None for any other store."""
    return Path(where.store.removeprefix(SQLITE)) if where.store.startswith(SQLITE) else None


def examine(where: "Settings") -> None:
    """Check that a SQLite store can be opened by this version, before MLflow tries for minutes; a missing or an empty file is fine.

    Raises:
        StoreError: it is damaged, unreadable, or of another version of MLflow.
    """
    path = database(where)
    if path is None or not path.exists() or not path.stat().st_size:
        return
    try:
        with sqlite3.connect(path, timeout=5) as opened:
            tables = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            rows = opened.execute("SELECT version_num FROM alembic_version").fetchall() if "alembic_version" in tables else []
        opened.close()
    except sqlite3.Error as error:
        raise StoreError(_of_sqlite(str(error), path)) from error
    if rows:
        _check_version(str(rows[0][0]), where, path)


def _check_version(version: str, where: "Settings", path: Path) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.store.db.utils import _get_alembic_config

    scripts = ScriptDirectory.from_config(_get_alembic_config(where.store))
    if version == scripts.get_current_head():
        return
    try:
        scripts.get_revision(version)
    except CommandError:
        raise StoreError(
            f"The store {path} was written by a newer MLflow (schema {version[:40]}) than the one installed here: "
            f"install that version, or {_aside(path)}."
        ) from None
    raise StoreError(
        f"The store {path} was written by an older MLflow: copy it, then run `mlflow db upgrade {shlex.quote(where.store)}`, "
        f"or {_aside(path)}."
    )


def _aside(path: Path) -> str:
    """How a store is moved aside, and the runs taken in by a new one."""
    folder = path.parent / "store-aside"
    move = f"mkdir -p {shlex.quote(str(folder))} && mv {shlex.quote(str(path))}* {shlex.quote(str(folder))}/"
    return f"move it aside and take the runs in from their folders: `{move} && recbench adopt`"


def _of_sqlite(said: str, path: Path) -> str:
    """What an error of SQLite means."""
    low = said.lower()
    if "locked" in low or "busy" in low:
        return (
            f"The store {path} is locked by another process. Runs go on, and record what they do when it is free: try again in a moment. "
            f"`fuser {shlex.quote(str(path))}` names who holds it."
        )
    if "readonly" in low or "read-only" in low:
        return f"The store {path} is read-only: make it and its folder writable (`chmod u+w {shlex.quote(str(path))}`), or {_aside(path)}."
    if "unable to open" in low:
        return f"The store {path} cannot be opened: check that its folder exists and may be read and written, or {_aside(path)}."
    if "full" in low or "no space" in low:
        return f"No space is left for the store {path}: free some, then try again."
    if "not a database" in low or "malformed" in low or "no such table" in low or "no such column" in low or "disk i/o" in low:
        return f"The store {path} is damaged ({said.splitlines()[0][:120]}): {_aside(path)}."
    return f"The store {path} does not answer: {said.splitlines()[0][:300]}."


def explain(error: BaseException, where: "Settings") -> StoreError:
    """An error of MLflow, SQLAlchemy, SQLite or the network as a StoreError."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in causes:
        if isinstance(one, StoreError):
            return one
        if isinstance(one, ModuleNotFoundError):
            return StoreError(_without_driver(one, where))
    said = " ".join(str(error).split())
    path = database(where)
    if path is not None:
        inner = re.search(r"\(sqlite3\.\w+\) ([^\[]+)", said)
        return StoreError(_of_sqlite(inner[1].strip() if inner else said, path))
    address = mask(where.store)
    if "out-of-date database schema" in said:
        return StoreError(
            f"The store {address} was written by another version of MLflow than the one installed here: back it up, then run "
            f"`mlflow db upgrade {shlex.quote(address)}`, or install that version."
        )
    if where.store.startswith(("http://", "https://")):
        return StoreError(
            f"The tracking server {address} does not answer ({_why_no_answer(said)}). Runs go on, and record what they do when it is back: "
            "check RECBENCH_TRACKING_URI and the server, then try again."
        )
    return StoreError(
        f"The store {address} does not answer ({_why_no_answer(said)}). Runs go on, and record what they do when it is back: "
        "check RECBENCH_TRACKING_URI and the database, then try again."
    )


def _why_no_answer(said: str) -> str:
    if code := re.search(r"(?:error code|too many|status code) ?'?(\d{3})|(\b5\d\d) error", said):
        return f"error {code[1] or code[2]}"
    for words, why in (
        ("refused", "connection refused"), ("timed out", "no answer in time"), ("timeout", "no answer in time"),
        ("resolve", "its name is not known"), ("Name or service", "its name is not known"), ("ssl", "TLS fails"), ("401", "not allowed"),
        ("authentication failed", "the password or the user is wrong"), ("no password supplied", "it asks for a password"),
    ):  # fmt: skip
        if words.lower() in said.lower():
            return why
    if missing := re.search(r'(database|role) "[^"]{1,80}" does not exist', said):
        return f"the {missing[0]}"
    said = re.sub(r"\(psycopg\S*\) |\(Background on this error.*", "", said)
    return mask(said)[:160]


def _without_driver(error: ModuleNotFoundError, where: "Settings") -> str:
    missing = error.name or "its driver"
    if missing == "psycopg":
        how = "start with `uv run --extra postgres recbench`, or `uv sync --extra postgres`; elsewhere `pip install 'psycopg[binary]'`"
    else:
        how = f"`uv pip install {DRIVERS.get(missing, missing)}` in the environment of the workbench"
    return (
        f"The store {mask(where.store)} needs the Python package {DRIVERS.get(missing, missing)}, which is not installed: "
        f"{how}; or unset RECBENCH_TRACKING_URI."
    )


class _Guarded:
    """A client whose every call ends well or in a StoreError; that there is no such run stays MLflow's own error."""

    def __init__(self, client: "MlflowClient", where: "Settings") -> None:
        self._client, self._where = client, where

    def __getattr__(self, name: str) -> object:
        found = getattr(self._client, name)
        return translated(found, self._where) if callable(found) else found


def guarded(client: "MlflowClient", where: "Settings") -> "MlflowClient":
    """A client that raises StoreError for what is wrong with the store."""
    return cast("MlflowClient", _Guarded(client, where))


def translated(call: Callable[..., Any], where: "Settings", every: bool = False) -> Callable[..., Any]:
    """A call whose errors of the store are StoreErrors. While a store keeps callers waiting, the next one does not wait again.

    Args:
        every: that MLflow knows no such run, or refuses a value, is one too.
    """
    from mlflow.exceptions import MlflowException

    @wraps(call)
    def calling(*given: object, **named: object) -> object:
        began = time.monotonic()
        if (recent := _silent.get(where.store)) is not None and began < recent.until:
            raise StoreError(str(recent.error))
        try:
            return call(*given, **named)
        except MlflowException as error:
            if error.error_code in NO_SUCH_RUN and not every:
                raise
            raise _noted(explain(error, where), where, began) from error
        except Exception as error:
            raise _noted(explain(error, where), where, began) from error

    return calling


def _noted(error: StoreError, where: "Settings", began: float) -> StoreError:
    """The error, remembered for a moment where the store was silent: a page asks several times while it is drawn."""
    now = time.monotonic()
    if now - began > SILENT_S and database(where) is None:
        _silent[where.store] = Silence(error, now + SILENT_S)
    return error
