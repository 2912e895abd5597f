"""Reading runs: state, progress, spec and metrics. MLflow holds the record; the run folder holds the current progress.

Reading writes nothing and ends no process.
"""

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict, Field

from engine.runs import claims, identity, owners, store
from engine.runs.spec import SubmittedSpec, parse
from engine.settings import settings
from workers.artifacts import CANCEL, CHECKPOINT, DONE, JOURNAL, METRICS, PROGRESS
from workers.run import RunSpec

if TYPE_CHECKING:
    from mlflow.entities import Run as StoredRun

WHOLE = f"{CHECKPOINT}/[!.]*/checkpoint.json"  # of each complete checkpoint in a run folder
VERDICT = "verdict.json"  # how a run ended; the driver writes it before it updates the store
RESOURCES = (
    "rows_per_s", "training_s", "rows", "epochs", "best_epoch", "parameters", "checkpoint_bytes", "peak_memory_bytes", "processes",
    "users", "seconds", "bytes", "train_rows", "train_liked", "latency_p50_ms", "latency_p99_ms",
)  # fmt: skip


class RunState(StrEnum):
    """The one set of states that every page shows."""

    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


KIND_NAMES: dict[store.Kind, str] = {
    "prepare": "preparation", "train": "training run", "download": "download", "export": "list export",
    "features": "test of features",
}  # fmt: skip
_ended_runs: WeakKeyDictionary["StoredRun", "Run"] = WeakKeyDictionary()
LIVE = {RunState.QUEUED, RunState.PREPARING, RunState.RUNNING, RunState.CANCELLING}


class Progress(BaseModel):
    """Progress of a live run: the phase, and steps of it (bytes of a download)."""

    model_config = ConfigDict(frozen=True)

    phase: str
    step: int = 0
    total: int = 1
    epoch: int | None = None
    epochs: int | None = None
    rows_per_s: float | None = None
    bytes_per_s: float | None = None
    eta_s: float | None = None
    trial: int | None = None  # of a search: the one under way, from 1
    trials: int | None = None

    @property
    def share(self) -> float:
        share = min(1.0, self.step / self.total) if self.total else 0.0
        return (self.trial - 1 + share) / self.trials if self.trial and self.trials else share

    @property
    def part(self) -> str:
        """Where in the run it is: trial 2 of 20, epoch 3 of 10; empty where neither is known."""
        trial = f"trial {self.trial} of {self.trials}" if self.trial and self.trials else ""
        epoch = f"epoch {self.epoch} of {self.epochs}" if self.epoch is not None and self.epochs else ""
        return ", ".join(filter(None, [trial, epoch]))


class Run(BaseModel):
    """A preparation, a training run, a download or an export of lists, in its state at the moment of reading.

    `settings` is what was submitted, as JSON values; `spec` is the same as a checked, typed spec. A run of another version whose
    settings this version does not accept is listed and read like any other: its `spec` is None, and `unreadable` says why.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    kind: store.Kind
    title: str
    state: RunState
    dataset: str | None
    dataset_name: str | None
    model: str | None
    settings: dict[str, Any] = Field(alias="spec")
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    message: str | None
    progress: Progress | None
    metrics: dict[str, float]
    resources: dict[str, float]
    note: str | None = None
    tags: tuple[str, ...] = ()
    pinned: bool = False  # the default baseline of its dataset
    trashed_at: datetime | None = None
    owner: owners.Owner = owners.Owner()

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def spec(self) -> SubmittedSpec | None:
        """What was submitted, checked once; None where this version does not accept it."""
        try:
            return parse(self.kind, json.dumps(self.settings))
        except ValueError:
            return None

    @property
    def unreadable(self) -> str | None:
        """Why `spec` is None, in a sentence; None where there is a spec."""
        try:
            parse(self.kind, json.dumps(self.settings))
        except ValueError as error:
            return f"{self.title} was submitted with settings that this version does not accept: {error}"
        return None

    @property
    def training(self) -> RunSpec:
        """The spec of a training run; ValueError where it is another kind of run, or unreadable."""
        spec = self.spec
        if not isinstance(spec, RunSpec):
            raise ValueError(self.unreadable or f"{self.title} is a {KIND_NAMES[self.kind]}; choose a training run.")
        return spec


def list_runs(kind: store.Kind | None = None, dataset: str | None = None, limit: int = 500, trashed: bool = False) -> list[Run]:
    """Runs, newest first; those in the trash are left out, or are the only ones."""
    runs = [_ended_run(stored) or _run(stored) for stored in store.newest((kind,) if kind else store.EXPERIMENTS, limit, trashed)]
    return [run for run in runs if dataset is None or run.dataset == dataset]


def get_run(run_id: str) -> Run:
    """One run, read without changing anything; LookupError when there is none of that id."""
    return _run(store.get(run_id))


def _ended_run(stored: "StoredRun") -> Run | None:
    """The record of an ended run, made once for each reading of it; None: the run may change by itself."""
    if stored.info.status not in store.ENDED:
        return None
    if stored not in _ended_runs:
        _ended_runs[stored] = _run(stored)
    return _ended_runs[stored]


def _run(stored: "StoredRun") -> Run:
    tags = {name.removeprefix(store.TAG): value for name, value in stored.data.tags.items() if name.startswith(store.TAG)}
    if "kind" not in tags:
        raise LookupError(f"Run {stored.info.run_id} was not made by this workbench.")
    run_id, folder = stored.info.run_id, settings().runs / stored.info.run_id
    if over := died(stored):
        stored = store.get(run_id)  # it may have ended between reading its status and its lock
        over = died(stored)
    state, message = how_it_ended(folder) if over else _state(stored, tags, folder)
    live = state in LIVE
    metrics = stored.data.metrics | (_final(folder) if over and state == RunState.FINISHED else {})
    dataset = tags.get("dataset") or (_result(folder).get("dataset") if over else None)
    return Run(
        run_id=run_id,
        kind=tags["kind"],
        title=stored.info.run_name or run_id[:8],
        state=state,
        dataset=dataset,
        dataset_name=tags.get("dataset_name") or (dataset.rsplit("-", 1)[0] if dataset else None),
        model=tags.get("model"),
        spec=json.loads(tags.get("spec", "{}")),
        submitted_at=_moment(stored.info.start_time),
        started_at=_started(folder),
        ended_at=_ended(stored, folder) if not live else None,
        message=message,
        progress=progress(folder) if live else None,
        metrics={key: metrics[f"test_{key}"] for key in METRICS if f"test_{key}" in metrics},
        resources={name: metrics[name] for name in RESOURCES if name in metrics},
        owner=owners.owner_of(stored.data.tags),
        **store.annotations(stored.data.tags),
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _state(stored: "StoredRun", tags: dict[str, str], folder: Path) -> tuple[RunState, str | None]:
    status, message = stored.info.status, tags.get("message")
    if status in ("FINISHED", "KILLED"):
        return (RunState.FINISHED if status == "FINISHED" else RunState.CANCELLED), message
    if status == "FAILED":
        return (RunState.INTERRUPTED if "interrupted" in tags else RunState.FAILED), message
    if (pid := identity.stopped(folder)) is not None:
        message = f"Its driver, process {pid}, is stopped by a signal or a debugger: kill -CONT {pid} lets it go on. Or stop the run."
    if (folder / CANCEL).exists():
        return RunState.CANCELLING, message
    if not claims.is_judged_here(stored.info.run_id, stored.data.tags):
        message = f"It was started {owners.owner_of(stored.data.tags).place}: only there can be seen whether it is still alive."
    if status == "SCHEDULED":
        return RunState.QUEUED, message
    return (RunState.PREPARING if tags["kind"] == "prepare" else RunState.RUNNING), message


def died(stored: "StoredRun") -> bool:
    """Whether the store has a live status for a run of this workspace and machine that has ended: nobody holds the lock of its folder."""
    if stored.info.status not in ("SCHEDULED", "RUNNING") or not claims.is_judged_here(stored.info.run_id, stored.data.tags):
        return False
    return not claims.is_held(stored.info.run_id, stored.data.tags)


def how_it_ended(folder: Path) -> tuple[RunState, str]:
    """State and message of a run whose driver has ended, from its folder: its verdict, else a cancel, else interrupted."""
    try:
        verdict = json.loads((folder / VERDICT).read_text())
    except (OSError, ValueError):
        if (folder / CANCEL).exists():
            return RunState.CANCELLED, "Cancelled."
        what = "resume it, or launch the run again." if any(folder.glob(WHOLE)) else "launch the run again."
        if identity.restarted(folder):
            return RunState.INTERRUPTED, f"The machine was restarted while the run was under way; {what}"
        if not folder.is_dir():
            return RunState.INTERRUPTED, "The run's folder is gone, or was never made; launch the run again."
        return RunState.INTERRUPTED, f"The run's driver process was killed or the machine was restarted; {what}"
    ended = {"FINISHED": RunState.FINISHED, "KILLED": RunState.CANCELLED}
    return ended.get(verdict["status"], RunState.FAILED), verdict["message"]


def _ended(stored: "StoredRun", folder: Path) -> datetime | None:
    """When a run ended, by the store, else by its verdict; None where nobody recorded it."""
    if stored.info.status in store.ENDED and stored.info.end_time:
        return _moment(stored.info.end_time)
    try:
        return _moment(int(1000 * json.loads((folder / VERDICT).read_text())["time"]))
    except (OSError, ValueError, LookupError):
        return None


def _result(folder: Path) -> dict[str, Any]:
    """done.json of a run; empty without one."""
    try:
        return dict(json.loads((folder / DONE).read_text()))
    except (OSError, ValueError):
        return {}


def _final(folder: Path) -> dict[str, float]:
    """The final metrics of a finished run by their names in the store, from its files."""
    return store.numbers(final_values(_result(folder)))


def final_values(done: dict[str, Any]) -> dict[str, Any]:
    """What the store has as final metrics of a run: those of test by a name of their own, cost as it is."""
    logged = {f"test_{name}": value for name, value in done.get("metrics", {}).items() if name in METRICS}
    return logged | {name: value for name, value in done.items() if name not in ("attempt", "metrics")}


def progress(folder: Path) -> Progress | None:
    """The progress in a run folder; None where there is none yet."""
    try:
        values = json.loads((folder / PROGRESS).read_text())
    except (OSError, ValueError):
        return None
    return Progress.model_validate({name: values.get(name) for name in Progress.model_fields if values.get(name) is not None})


def _started(folder: Path) -> datetime | None:
    """When the run left the queue, from the first lines of its journal."""
    try:
        with (folder / JOURNAL).open("rb") as file:
            head = file.read(2000)
    except FileNotFoundError:
        return None
    event = re.search(rb'"time": ([0-9.]+), "event": "turn came"', head)
    return datetime.fromtimestamp(float(event[1]), UTC) if event else None
