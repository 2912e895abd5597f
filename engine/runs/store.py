"""The only MLflow client of the engine: stores, experiments, and the names of tags, metrics and artifacts."""

import functools
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.settings import Settings, settings
from workers.run import settings_of as leaves
from workers.specs import Spec, mask

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

Kind = Literal["prepare", "train", "download", "export"]
Status = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]
EXPERIMENTS: dict[Kind, str] = {"prepare": "preparations", "train": "trainings", "download": "downloads", "export": "exports"}
TAG = "recbench."  # prefix of our tags: kind, spec, dataset, model, workspace, message, key, interrupted, tags, pinned, trashed
NOTE = "mlflow.note.content"
LOOK = {"mlflow.experimentKind": "custom_model_development"}  # a stock `mlflow ui` then opens on parameters and metrics
BATCH = 900  # the store takes at most 1000 metrics per call
ENDED = ("FINISHED", "FAILED", "KILLED")
Search = tuple[tuple[Kind, ...], int, str]
_remembered: ContextVar["dict[str | Search, list[StoredRun]] | None"] = ContextVar("remembered", default=None)


@contextmanager
def read_once() -> Iterator[None]:
    """Ask the store once for each ended run while the block lasts, in this thread. A run that has not ended is read anew each time.

    For one drawing of a page, which asks for the same runs in many places. What this thread writes is seen at once, what others write
    is seen by the next block.
    """
    before = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(before)


def _remember(key: str | Search, runs: "list[StoredRun]") -> None:
    """Keep what was read while `read_once` lasts, as far as it no longer changes by itself."""
    known = _remembered.get()
    if known is None:
        return
    ended = {run.info.run_id: [run] for run in runs if run.info.status in ENDED}
    known.update(ended)
    if len(ended) == len(runs):
        known[key] = runs


def _recall(key: str | Search) -> "list[StoredRun] | None":
    return (_remembered.get() or {}).get(key)


def _writing() -> "MlflowClient":
    """The client, to change runs with: what was read before is forgotten."""
    if (known := _remembered.get()) is not None:
        known.clear()
    return client()


def client() -> "MlflowClient":
    """A client of the current store; creates the store and the experiments where they are missing."""
    return _client(settings())


@functools.lru_cache(maxsize=4)
def _client(where: Settings) -> "MlflowClient":
    from filelock import FileLock
    from mlflow import MlflowClient

    # two processes that create a SQLite store at the same time would both run its migrations
    with FileLock(where.workspace / ".store.lock", timeout=120):
        new = MlflowClient(tracking_uri=where.store)
        for name in EXPERIMENTS.values():
            if new.get_experiment_by_name(name) is None:
                new.create_experiment(name, artifact_location=f"{where.artifacts}/{name}", tags=LOOK)
        if where.store.startswith("sqlite:///"):
            # without WAL one open reader blocks every writer for 20 s; the mode stays with the file
            with sqlite3.connect(where.store.removeprefix("sqlite:///")) as database:
                database.execute("PRAGMA journal_mode=WAL")
            file = Path(where.store.removeprefix("sqlite:///"))
            if where.shared_group and file.stat().st_uid == os.geteuid():
                file.chmod(where.file_mode)  # SQLite gives the group no right to write
    return new


@functools.lru_cache(maxsize=64)
def _experiment(where: Settings, kind: Kind) -> str:
    """The id of the experiment that holds runs of a kind, which `_client` made."""
    return str(_client(where).get_experiment_by_name(EXPERIMENTS[kind]).experiment_id)


def create(kind: Kind, title: str, spec: Spec, tags: Mapping[str, str]) -> str:
    """Record a submitted spec as a SCHEDULED run, before any process starts; returns the run id."""
    from mlflow.entities import Param, RunTag

    store = _writing()
    given = {"kind": kind, "spec": spec.model_dump_json(), "workspace": str(settings().workspace), **tags}
    run = store.create_run(_experiment(settings(), kind), run_name=title, tags={TAG + k: v for k, v in given.items()})
    params = [Param(name, str(value)[:6000]) for name, value in leaves(spec).items()]
    store.log_batch(run.info.run_id, params=params, tags=[RunTag("mlflow.source.name", "recbench")])
    set_status(run.info.run_id, "SCHEDULED")
    return run.info.run_id


def set_status(run_id: str, status: Status, message: str | None = None) -> None:
    """Change a run's status; a terminal status sets its end time."""
    store = _writing()
    if message:
        store.set_tag(run_id, TAG + "message", mask(message)[:4000])
    if status in ("SCHEDULED", "RUNNING"):
        store.update_run(run_id, status=status)
    else:
        store.set_terminated(run_id, status=status)


def set_tag(run_id: str, name: str, value: str) -> None:
    _writing().set_tag(run_id, TAG + name, value)


def drop_tag(run_id: str, name: str) -> None:
    if TAG + name in get(run_id).data.tags:
        _writing().delete_tag(run_id, TAG + name)


def rename(run_id: str, name: str) -> None:
    _writing().update_run(run_id, name=name)


def annotate(run_id: str, note: str) -> None:
    """A run's note, under the name by which a stock `mlflow ui` shows and edits it."""
    _writing().set_tag(run_id, NOTE, note)


def annotations(tags: Mapping[str, str]) -> dict[str, Any]:
    """What people wrote on a run, from its tags: note, tags, pinned, trashed_at. Invalid values (of `mlflow ui`) become empty."""
    trashed = tags.get(TAG + "trashed")
    try:
        written = json.loads(tags.get(TAG + "tags", "[]"))
    except ValueError:
        written = []
    return {
        "note": tags.get(NOTE) or None,
        "tags": tuple(str(one) for one in written) if isinstance(written, list) else (),
        "pinned": TAG + "pinned" in tags,
        "trashed_at": None if trashed is None else _moment(trashed),
    }


def _moment(text: str) -> datetime:
    """The time in a tag, in UTC; 1970 where it cannot be parsed."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def log_records(run_id: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Journal records as metric points: value at its step, at the time when it was measured; nulls are left out."""
    from mlflow.entities import Metric

    points = [
        Metric(name, value, int(record["time"] * 1000), record["step"])
        for record in records
        if "values" in record
        for name, value in {**record["values"], "epoch": record["epoch"]}.items()
        if value is not None
    ]
    for start in range(0, len(points), BATCH):
        client().log_batch(run_id, metrics=points[start : start + BATCH])


def log_final(run_id: str, values: Mapping[str, Any]) -> None:
    """Record the final numbers of a run under their names."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, (int, float)) and value == value}
    client().log_batch(run_id, metrics=[Metric(name, value, now, 0) for name, value in numbers.items()])


def log_dataset(run_id: str, name: str, fingerprint: str, path: str, counts: str) -> None:
    """The prepared dataset as an MLflow dataset input."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(name=name, digest=fingerprint[:36], source_type="local", source=path, profile=counts)
    client().log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def log_folder(run_id: str, folder: Path, under: str) -> None:
    client().log_artifacts(run_id, str(folder), under)


def log_file(run_id: str, file: Path) -> None:
    client().log_artifact(run_id, str(file))


def get(run_id: str) -> "StoredRun":
    """One stored run; LookupError when the store has none under that id."""
    from mlflow.exceptions import MlflowException

    if known := _recall(run_id):
        return known[0]
    try:
        stored = client().get_run(run_id)
    except MlflowException as error:
        raise LookupError(f"There is no run {run_id[:80]!r}; `recbench runs` lists all runs.") from error
    _remember(run_id, [stored])
    return stored


def search(kinds: Iterable[Kind], limit: int, condition: str = "") -> list["StoredRun"]:
    """Stored runs, newest first."""
    query = (tuple(kinds), limit, condition)
    if (known := _recall(query)) is not None:
        return list(known)
    store, ids = client(), [_experiment(settings(), kind) for kind in query[0]]
    stored = list(store.search_runs(ids, filter_string=condition, max_results=limit, order_by=["attributes.start_time DESC"]))
    _remember(query, stored)
    return list(stored)


def points(run_id: str, metric: str) -> list[tuple[int, int, float]]:
    """The history of a metric: (step, milliseconds, value)."""
    return [(point.step, point.timestamp, point.value) for point in client().get_metric_history(run_id, metric)]
