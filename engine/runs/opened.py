"""Opening the store: once for each process, and anew where its file was replaced, emptied or deleted meanwhile."""

import logging
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Literal, NamedTuple

from engine import locks
from engine.runs import addresses, store_errors
from engine.runs.store_errors import StoreError
from engine.settings import Settings, settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy.engine import Engine

Kind = Literal["prepare", "train", "download", "export", "features"]
EXPERIMENTS: dict[Kind, str] = {
    "prepare": "preparations",
    "train": "trainings",
    "download": "downloads",
    "export": "exports",
    "features": "features",
}
TAG = "recbench."  # prefix of our tags: kind, spec, dataset, model, workspace, message, key, interrupted, tags, pinned, trashed
LOOK = {"mlflow.experimentKind": "custom_model_development"}  # a stock `mlflow ui` then opens on parameters and metrics
BUSY_S = 5  # how long a call waits for a locked SQLite store: a page should not hang for MLflow's 20
ANSWER = {
    "TIMEOUT": "3",
    "MAX_RETRIES": "1",
    "BACKOFF_FACTOR": "1",
}  # a server that is down is reported within 10 s, not after four minutes
Stamp = tuple[int, int] | None  # of the file of a SQLite store; None: there is none, or it is empty


class Store(NamedTuple):
    """An open store."""

    client: "MlflowClient"
    experiments: dict[Kind, str]  # ids
    made: str  # when it was made: tells one store from another at the same address
    stamp: Stamp


_open: dict[Settings, Store] = {}
_opening = threading.Lock()


def current() -> Store:
    """The store of the current settings; creates it and its experiments where they are missing.

    Raises:
        StoreError: it is locked, damaged, read-only, of another version, or does not answer.
    """
    where = settings()
    known = _open.get(where)
    if known is not None and known.stamp == _stamp(where):
        store_errors.translated(addresses.ask, where)(where.store)
        return known
    with _opening:
        known = _open.get(where)
        if known is None or known.stamp != _stamp(where):
            _open[where] = known = _made(where)
    return known


def is_open() -> bool:
    """Whether this process has opened the store."""
    return settings() in _open


def forget() -> None:
    """Open the store anew at the next call, as another process does."""
    _open.clear()


def _stamp(where: Settings) -> Stamp:
    path = store_errors.database(where)
    if path is None:
        return None
    try:
        file = path.stat()
    except OSError:
        return None
    return (file.st_dev, file.st_ino) if file.st_size else None


def _made(where: Settings) -> Store:
    if store_errors.database(where) is None:
        return _connected(where)
    try:
        # two processes that create a SQLite store at the same time would both run its migrations
        with locks.held(".store.lock", 60, f"Opening the store {where.store}"):
            return _connected(where)
    except StoreError:
        raise
    except locks.LockError as error:
        raise StoreError(str(error)) from error
    except OSError as error:
        raise StoreError(f"The workspace {where.workspace} cannot be written to ({error.strerror}); make it writable.") from error


def _connected(where: Settings) -> Store:
    addresses.check(where)
    store_errors.examine(where)
    for name in ("mlflow.store.db.utils", "mlflow.store.tracking.sqlalchemy_store"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they log tracebacks of what we turn into sentences
    if where.store.startswith("http"):
        for name, value in ANSWER.items():
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    connected: Store = store_errors.translated(_connect, where, every=True)(where)
    return connected


def _connect(where: Settings) -> Store:
    from mlflow import MlflowClient

    addresses.ask(where.store)
    new = MlflowClient(tracking_uri=addresses.with_timeout(where.store))
    engine = getattr(new._tracking_client.store, "engine", None)
    if engine is not None:
        _prepare_engine(engine, new)
    names = _names(where)
    found = {kind: new.get_experiment_by_name(name) for kind, name in names.items()}
    if missing := [kind for kind, experiment in found.items() if experiment is None]:
        for kind in missing:
            _create_experiment(new, names[kind], f"{where.artifacts}/{EXPERIMENTS[kind]}")
        found = {kind: new.get_experiment_by_name(name) for kind, name in names.items()}
    if (path := store_errors.database(where)) is not None:
        # without WAL one open reader blocks every writer for 20 s; the mode stays with the file
        database = sqlite3.connect(path, timeout=BUSY_S)
        if database.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            database.execute("PRAGMA journal_mode=WAL")
        database.close()
        if where.shared_group and path.stat().st_uid == os.geteuid():
            path.chmod(where.file_mode)  # SQLite gives the group no right to write
    ids = {kind: str(experiment.experiment_id) for kind, experiment in found.items()}
    return Store(store_errors.guarded(new, where), ids, str(found["train"].creation_time), _stamp(where))


def _names(where: Settings) -> dict[Kind, str]:
    """The names of the experiments. On Databricks an experiment is a file of its workspace, named by its whole path."""
    if not addresses.is_databricks(where.store):
        return EXPERIMENTS
    return {kind: f"/Shared/recommender-workbench-{name}" for kind, name in EXPERIMENTS.items()}


def _create_experiment(client: "MlflowClient", name: str, artifacts: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_experiment(name, artifact_location=artifacts, tags=LOOK)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was first
            raise


def _prepare_engine(engine: "Engine", client: "MlflowClient") -> None:
    """Wait less for a locked file, and forget connections to a file that is no longer there."""
    from mlflow.store.db import utils
    from mlflow.tracking._tracking_service import utils as tracking
    from sqlalchemy import event

    engine.dispose()  # MLflow keeps one engine for each address, and it connections to a file that was deleted
    tracking._artifact_repos_cache.clear()  # and the places of artifacts by the ids of runs
    if not utils._all_tables_exist(engine):
        utils._initialize_tables(engine)
        client._tracking_client.store._initialize_store_state()
    if engine.dialect.name == "sqlite" and not event.contains(engine, "before_cursor_execute", _wait_less):
        event.listen(engine, "before_cursor_execute", _wait_less, retval=True)


def _wait_less(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> tuple[str, object]:
    """MLflow sets the time that SQLite waits for a lock with each session."""
    wait = f"PRAGMA busy_timeout = {1000 * BUSY_S}" if statement.startswith("PRAGMA busy_timeout") else statement
    return wait, parameters
