"""Runs under ids that we give: MLflow makes an id of its own for each run, except where its tables can be written to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.runs import opened, store, store_errors
from engine.settings import settings
from workers.specs import mask

if TYPE_CHECKING:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


def refusal() -> str | None:
    """Why the store takes no run under a given id, and what to do; None where it does."""
    if _tables() is not None:
        return None
    return (
        f"The tracking server {mask(settings().store)} gives each run an id of its own, and other runs, funnels and votes "
        "name runs by their ids. Restore the server's database from its backup, set RECBENCH_TRACKING_URI to that database itself, "
        "or unset it and adopt the runs into the store of the workspace."
    )


def known() -> set[str]:
    """The ids of all runs in the store, deleted ones too."""
    tables = _tables()
    if tables is None:
        return {run.info.run_id for run in store.search(store.EXPERIMENTS, 50_000)}

    def read() -> set[str]:
        from mlflow.store.tracking.dbmodels.models import SqlRun

        with tables.ManagedSessionMaker() as session:
            return {run_id for (run_id,) in session.query(SqlRun.run_uuid)}

    found: set[str] = store_errors.translated(read, settings())()
    return found


def insert(run_id: str, kind: store.Kind, title: str, submitted_ms: int, tags: Mapping[str, str]) -> None:
    """Record a run as `store.create` does, as SCHEDULED, under its own id. StoreError: the store takes none, see `refusal`."""
    tables = _tables()
    if tables is None:
        raise store_errors.StoreError(refusal() or "")

    def write() -> None:
        _insert(tables, run_id, opened.current().experiments[kind], title, submitted_ms, tags)

    store_errors.translated(write, settings())()


def _insert(tables: "SqlAlchemyStore", run_id: str, experiment_id: str, title: str, submitted_ms: int, tags: Mapping[str, str]) -> None:
    """The rows that SqlAlchemyStore.create_run writes."""
    from mlflow.entities import RunTag, SourceType
    from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
    from mlflow.utils.uri import append_to_uri_path

    root = tables.get_experiment(experiment_id).artifact_location
    row: Any = SqlRun(
        run_uuid=run_id,
        name=title,
        experiment_id=experiment_id,
        artifact_uri=append_to_uri_path(root, run_id, tables.ARTIFACTS_FOLDER_NAME),
        user_id="unknown",
        status="SCHEDULED",
        start_time=submitted_ms,
        lifecycle_stage="active",
        source_type=SourceType.to_string(SourceType.UNKNOWN),
        source_name="",
        entry_point_name="",
        source_version="",
    )
    given = [RunTag(MLFLOW_RUN_NAME, title), *(RunTag(store.TAG + name, value) for name, value in tags.items())]
    row.tags = [SqlTag(key=tag.key, value=tag.value) for tag in given]
    with tables.ManagedSessionMaker(read_only=False) as session:
        session.add(row)


def _tables() -> "SqlAlchemyStore | None":
    """MLflow's store where it is a database that this process writes to itself."""
    inner = store.client()._tracking_client.store
    return inner if hasattr(inner, "ManagedSessionMaker") else None
