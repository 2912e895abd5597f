"""The only MLflow client of the engine: stores, experiments, and the names of tags, metrics and artifacts."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.runs import addresses, known, opened, owners
from engine.runs.known import ENDED as ENDED
from engine.runs.opened import EXPERIMENTS as EXPERIMENTS
from engine.runs.opened import TAG, Kind
from engine.settings import settings
from workers.run import settings_of as leaves
from workers.search import read_trials
from workers.specs import Spec, mask
from workers.stores import is_stored, reach

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

Status = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]
NOTE = "mlflow.note.content"
MADE_BY = "mlflow.user"  # as a stock `mlflow ui` shows who made a run
MOST_TRIALS = 10_000
BATCH = 900  # the store takes at most 1000 metrics per call


def client() -> "MlflowClient":
    """A client of the current store; creates the store and the experiments where they are missing. StoreError: it cannot be used."""
    return opened.current().client


@contextmanager
def _writing(run_id: str) -> Iterator["MlflowClient"]:
    """The client, to change a run with: what was read of it is then forgotten."""
    try:
        yield client()
    finally:
        known.forget(run_id)


def create(kind: Kind, title: str, spec: Spec, tags: Mapping[str, str], submitted_ms: int | None = None) -> str:
    """Record a submitted spec as a SCHEDULED run, before any process starts; returns the run id."""
    given = identified(kind, spec.model_dump_json(), tags)
    named = {TAG + name: value for name, value in given.items()} | {MADE_BY: given[owners.USER]}
    run = client().create_run(opened.current().experiments[kind], start_time=submitted_ms, run_name=title, tags=named)
    log_params(run.info.run_id, spec)
    set_status(run.info.run_id, "SCHEDULED")
    return run.info.run_id


def identified(kind: Kind, spec: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run of this workspace, without their prefix."""
    return {"kind": kind, "spec": spec, **owners.tags_of_here(), **tags}


def log_params(run_id: str, spec: Spec) -> None:
    """Each setting of a spec as a parameter; the same ones again change nothing."""
    from mlflow.entities import Param, RunTag

    params = [Param(name, str(value)[:6000]) for name, value in leaves(spec).items()]
    with _writing(run_id) as store:
        store.log_batch(run_id, params=params, tags=[RunTag("mlflow.source.name", "recbench")])


def set_status(run_id: str, status: Status, message: str | None = None, ended_ms: int | None = None) -> None:
    """Change a run's status; a terminal status sets its end time: the given one in milliseconds, else now."""
    with _writing(run_id) as store:
        if message:
            store.set_tag(run_id, TAG + "message", mask(message)[:4000])
        if status in ("SCHEDULED", "RUNNING"):
            store.update_run(run_id, status=status)
        else:
            store.set_terminated(run_id, status=status, end_time=ended_ms)


def set_tag(run_id: str, name: str, value: str) -> None:
    with _writing(run_id) as store:
        store.set_tag(run_id, TAG + name, value)


def set_raw_tags(run_id: str, tags: Mapping[str, str]) -> None:
    """Tags by the names that the store has for them."""
    with _writing(run_id) as store:
        for name, value in tags.items():
            store.set_tag(run_id, name, value)


def drop_tag(run_id: str, name: str) -> None:
    if TAG + name in get(run_id).data.tags:
        with _writing(run_id) as store:
            store.delete_tag(run_id, TAG + name)


def rename(run_id: str, name: str) -> None:
    with _writing(run_id) as store:
        store.update_run(run_id, name=name)


def annotate(run_id: str, note: str) -> None:
    """A run's note, under the name by which a stock `mlflow ui` shows and edits it."""
    with _writing(run_id) as store:
        store.set_tag(run_id, NOTE, note)


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
    """Journal records as metric points: value at its step, at the time when it was measured; nulls are left out.

    A point that the store has already is not logged again.
    """
    from mlflow.entities import Metric

    points = [
        Metric(name, value, int(record["time"] * 1000), record["step"])
        for record in records
        if "values" in record
        for name, value in {**record["values"], "epoch": record.get("epoch")}.items()
        if value is not None
    ]
    for start in range(0, len(points), BATCH):
        client().log_batch(run_id, metrics=points[start : start + BATCH])


def log_final(run_id: str, values: Mapping[str, Any], measured_ms: int | None = None) -> None:
    """Record the final numbers of a run under their names, measured at a time in milliseconds, else now."""
    from mlflow.entities import Metric

    at = int(time.time() * 1000) if measured_ms is None else measured_ms
    with _writing(run_id) as store:
        store.log_batch(run_id, metrics=[Metric(name, value, at, 0) for name, value in numbers(values).items()])


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The values that the store takes as metrics."""
    return {name: float(value) for name, value in values.items() if isinstance(value, (int, float)) and math.isfinite(value)}


def log_dataset(run_id: str, name: str, fingerprint: str, path: str, counts: str) -> None:
    """The prepared dataset as an MLflow dataset input."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(name=name, digest=fingerprint[:36], source_type="local", source=path, profile=counts)
    client().log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])


def log_folder(run_id: str, folder: Path, under: str) -> None:
    client().log_artifacts(run_id, str(folder), under)


def log_file(run_id: str, file: Path) -> None:
    client().log_artifact(run_id, str(file))


def fetch(run_id: str, path: str, folder: Path) -> Path:
    """Download an artifact of a run, a file or a folder, into a folder; returns where it is. Raises what the artifact store raises."""
    from mlflow import MlflowClient

    opened.current()  # StoreError where the store itself cannot be asked
    if is_stored(where := str(get(run_id).info.artifact_uri)):
        reach(where)  # MLflow would try for minutes
    return Path(MlflowClient(tracking_uri=addresses.with_timeout(settings().store)).download_artifacts(run_id, path, str(folder)))


def get(run_id: str) -> "StoredRun":
    """One stored run; LookupError when the store has none under that id, StoreError when it cannot be asked."""
    from mlflow.exceptions import MlflowException

    if (recent := known.recall(opened.current(), run_id)) is not None:
        return recent
    try:
        stored = client().get_run(run_id)
    except MlflowException as error:
        raise LookupError(f"There is no run {run_id[:80]!r}; `recbench runs` lists all runs.") from error
    if stored.info.lifecycle_stage == "deleted":
        raise LookupError(f"Run {run_id} was deleted for good; `recbench runs` lists all runs.")
    return stored


def delete(run_id: str) -> None:
    """Mark a run and the trials of its search as deleted; `mlflow gc` removes their rows."""
    with _writing(run_id) as store:
        for trial in _trials(store, run_id):
            store.delete_run(trial.info.run_id)
        store.delete_run(run_id)


def log_trials(run_id: str, folder: Path) -> None:
    """Each ended trial of a search as a run below it: what was tried, and its metrics on validation. Known ones are left as they are."""
    from mlflow.entities import Metric, Param

    with _writing(run_id) as store:
        known_ones = {trial.data.tags.get(TAG + "trial") for trial in _trials(store, run_id)}
        for one in read_trials(folder):
            if str(one.number) in known_ones:
                continue
            began, ended = (int(1000 * at) for at in (one.ended_at - one.facts.get("seconds", 0.0), one.ended_at))
            tags = {known.PARENT: run_id, TAG + "trial": str(one.number)}
            name = f"trial {one.number + 1}"
            trial = store.create_run(opened.current().experiments["train"], start_time=began, run_name=name, tags=tags)
            metrics = [Metric(f"valid_{key}", value, ended, 0) for key, value in numbers(one.facts.get("valid", {})).items()]
            params = [Param(key, str(value)[:6000]) for key, value in one.settings.items()]
            store.log_batch(trial.info.run_id, metrics=metrics, params=params)
            status = {"done": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[one.state]
            store.set_terminated(trial.info.run_id, status=status, end_time=ended)


def _trials(store: "MlflowClient", run_id: str) -> list["StoredRun"]:
    return list(store.search_runs([opened.current().experiments["train"]], f"tags.`{known.PARENT}` = '{run_id}'", max_results=MOST_TRIALS))


def search(kinds: Iterable[Kind], limit: int, condition: str = "") -> list["StoredRun"]:
    """Stored runs that fulfil a condition of MLflow's, newest first, as they are now."""
    ids = [opened.current().experiments[kind] for kind in kinds]
    return list(client().search_runs(ids, filter_string=known.without_trials(condition), max_results=limit, order_by=known.NEWEST))


def newest(kinds: Iterable[Kind], limit: int, trashed: bool) -> list["StoredRun"]:
    """Stored runs outside or inside the trash, newest first; cheap, since ended runs are read once for all callers."""
    kinds, tag = tuple(kinds), f"{TAG}trashed"
    if limit > known.MOST:
        return search(kinds, limit, f"tags.`{tag}` IS {'NOT ' if trashed else ''}NULL")
    ids = {opened.current().experiments[kind] for kind in kinds}
    every = (run for run in known.newest(opened.current()) if run.info.experiment_id in ids)
    return [run for run in every if (tag in run.data.tags) == trashed][:limit]


def points(run_id: str, metric: str) -> list[tuple[int, int, float]]:
    """The history of a metric: (step, milliseconds, value)."""
    return [(point.step, point.timestamp, point.value) for point in client().get_metric_history(run_id, metric)]
