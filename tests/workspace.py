"""A small real workspace for tests of pages: prepared datasets, an MLflow store, and runs in every state, each made by the workers' own
code in this process. What only reads shares one; what writes takes a copy.
"""

import fcntl
import importlib
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine import datasets, runs
from engine.datasets import DatasetSpec
from engine.runs import VERDICT, known, processes, store
from engine.runs.described import described
from engine.runs.launch import SubmittedSpec
from engine.settings import settings
from tests import prepared, ranks, stores
from workers.artifacts import CANCEL, CHECKPOINT, DIGEST, DONE, JOURNAL, LOG, METRICS, RESULTS, SPEC, sealed, write_json
from workers.exports import ListExportSpec
from workers.run import Journal, RunSpec, read_journal

QUICK = {"epochs": 1, "batch_size": 128, "table_learning_rate": 0.2, "dense_learning_rate": 0.01}
LONGER = QUICK | {"epochs": 3}
MODELS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "popularity": ({"kind": "popularity"}, {}),
    "item_knn": ({"kind": "item_knn"}, {}),
    "ials": ({"kind": "ials", "factors": 8, "alpha": 4, "regularisation": 0.01, "iterations": 5}, {}),
    "ease": ({"kind": "ease"}, {}),
    "ease10": ({"kind": "ease", "l2": 10}, {}),
    "ease1000": ({"kind": "ease", "l2": 1000}, {}),
    "dcnv2": ({"kind": "dlrm_dcnv2", "embedding_dim": 8}, QUICK),
    "blind": ({"kind": "dlrm", "embedding_dim": 8, "history": False}, QUICK),
    "deepfm": ({"kind": "deepfm", "embedding_dim": 8}, QUICK),
    "seed3": ({"kind": "two_tower", "embedding_dim": 8}, LONGER | {"seed": 3}),
    "seed2": ({"kind": "two_tower", "embedding_dim": 8}, LONGER | {"seed": 2}),
    "again": ({"kind": "two_tower", "embedding_dim": 8}, LONGER),
    "two_tower": ({"kind": "two_tower", "embedding_dim": 8}, LONGER),
    "dlrm": ({"kind": "dlrm", "embedding_dim": 8}, LONGER),
}  # in the order in which they are trained
STATES = ("queued", "running", "cancelling", "failed", "interrupted", "cancelled")
LIVE = STATES[:3]
FAILURE = "Rank 1: loss is nan at step 12"
PROGRESS = {"epoch": 3, "epochs": 10, "rows_per_s": 12_345.0, "eta_s": 61.0}


class Workspace(NamedTuple):
    """A workspace on disk: two datasets by their ids, and runs by a short name."""

    folder: Path
    films: str
    clicks: str  # a dataset without users and items
    runs: dict[str, str]

    def ids(self, *names: str) -> str:
        """The ids of runs, as an address names them."""
        return ",".join(self.runs[name] for name in names)

    def run(self, name: str) -> runs.Run:
        """A run as the engine reads it now."""
        return runs.get_run(self.runs[name])

    def launched(self) -> list[runs.Run]:
        """The runs that are there beside those that this workspace was made with, oldest first."""
        return [run for run in runs.list_runs() if run.run_id not in self.runs.values()][::-1]

    def path(self, name: str) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / self.runs[name]

    def change(self, path: Path, **values: Any) -> None:
        """Change what a JSON file of this workspace says, as if it had been written so."""
        assert path.is_relative_to(self.folder)
        changed = json.loads(path.read_text()) | values
        write_json(path, sealed(changed) if DIGEST in changed else changed)

    def measure(self, name: str, **metrics: float) -> None:
        """Change what a run reached on test to some metrics and no others."""
        run_id = self.runs[name]
        with sqlite3.connect(self.folder / stores.DATABASE) as database:
            for table in ("metrics", "latest_metrics"):
                database.execute(f"DELETE FROM {table} WHERE run_uuid = ? AND key LIKE 'test_%'", (run_id,))
        store.log_final(run_id, {f"test_{key}": value for key, value in metrics.items()})
        self.change(self.path(name) / DONE, metrics=metrics)

    def lose_results(self, *names: str) -> None:
        """Delete the files of runs by which they are tested and sliced, as if they had never been written."""
        for name in names:
            shutil.rmtree(self.path(name) / RESULTS)
            self.change(self.path(name) / DONE, files={})

    def baselines(self, dataset: str, **baselines: dict[str, float]) -> None:
        """Change what is known of a dataset without training to some baselines and no others."""
        folder = self.folder / "datasets" / dataset / "baselines"
        shutil.rmtree(folder)
        folder.mkdir()
        for name, metrics in baselines.items():
            write_json(folder / f"{name}.json", metrics)

    def respecify(self, name: str, **changes: Any) -> None:
        """Change parts of the spec that the store keeps of a run."""
        store.set_tag(self.runs[name], "spec", json.dumps(self.run(name).settings | changes))

    def forget(self, run_id: str) -> None:
        """Delete a run from the store and the disk, as `mlflow gc` does."""
        store.client()._tracking_client.store._hard_delete_run(run_id)
        shutil.rmtree(self.folder / "runs" / run_id)
        known.forget(run_id)  # other programs' deletions are seen some seconds later

    def only(self, *names: str) -> "Workspace":
        """The same workspace, with all other runs deleted for good."""
        for run_id in set(self.runs.values()) - {self.runs[name] for name in names}:
            self.forget(run_id)
        return self._replace(runs={name: self.runs[name] for name in names})


@contextmanager
def entered(folder: Path) -> Iterator[None]:
    """Within, RECBENCH_WORKSPACE is a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECBENCH_WORKSPACE", str(folder))
        yield


def keep(workspace: Workspace, folder: Path) -> None:
    """Write into a folder what a workspace has, for `kept`."""
    (folder / "kept.json").write_text(json.dumps(workspace, default=str))


def kept(folder: Path) -> Workspace:
    """The workspace that `keep` told of."""
    path, *rest = json.loads((folder / "kept.json").read_text())
    return Workspace(Path(path), *rest)


def build(folder: Path) -> Workspace:
    """Make the workspace: films with a finished run of every model, and one run in each other state."""
    folder.mkdir(parents=True)
    with entered(folder):
        spec = prepared.films_spec(prepared.write_films(folder / "source"))
        films, clicks = prepared.prepare(folder, spec), prepared.prepare_clicks(folder)
        made = {"prepared": _prepared(spec, films)} | {state: in_state(state, films) for state in STATES}
        with trainer() as train:
            for name, (model, train_spec) in MODELS.items():
                made[name] = train(RunSpec.model_validate({"dataset": films, "model": model, "train": train_spec}))
            made["funnel"] = train(runs.funnel(made["two_tower"], made["dlrm"], candidates=12))
            made["export"] = _export(ListExportSpec(run=made["ease"], title="EASE", dataset=films, k=5))
            ranker = {"kind": "dlrm", "embedding_dim": 8}
            made["clicks"] = train(RunSpec.model_validate({"dataset": clicks, "model": ranker, "train": QUICK}))
    return Workspace(folder, films, clicks, made)


def build_predictions(workspace: Workspace, hostile: str) -> Workspace:
    """Add to an empty workspace a DLRM of every output: binary, a value, one of two classes, two actions; `hostile`: a title and a name."""
    made, ranker = {}, {"kind": "dlrm", "embedding_dim": 8}
    ratings = prepared.write_films(workspace.folder / "source", title=hostile, other=hostile)
    given: dict[str, dict[str, Any]] = {"binary": {}, "regression": {"label": {"kind": "regression"}}} | {
        kind: {"teaches": {"verdict": role}, "label": {"kind": kind, "liked": ["good"]}}
        for kind, role in (("multi_class", "class"), ("actions", "action"))
    }
    with entered(workspace.folder), trainer() as train:
        for output, rules in given.items():
            id = prepared.prepare(workspace.folder, prepared.films_spec(ratings, output.replace("_", "-"), **rules))
            made[output] = train(RunSpec.model_validate({"dataset": id, "model": ranker, "train": QUICK}))
    return workspace._replace(runs=made)


def _prepared(spec: DatasetSpec, id: str) -> str:
    """The finished run that prepared a dataset."""
    run_id, folder = create(spec)
    store.set_tag(run_id, "dataset", id)
    store.log_final(run_id, {"rows": datasets.get_dataset(id).counts["rows_read"], "seconds": 1.0})
    end(run_id, folder, "FINISHED")
    return run_id


def in_state(state: str, dataset: str) -> str:
    """A run of popularity in a state that is not finished; those of `LIVE` are so while their lock is held (`held`)."""
    run_id, folder = create(RunSpec.model_validate({"dataset": dataset, "model": {"kind": "popularity"}, "name": f"Popular, {state}"}))
    if state == "queued":
        return run_id
    store.set_status(run_id, "RUNNING")
    journal = Journal(folder)
    journal.event("turn came")
    journal.progress("training", 42, 100, force=True, **PROGRESS)
    (folder / LOG).write_text("12:00:01 planner: 2 tables\n12:00:02 epoch 1 of 10\n")
    if state == "cancelling":
        (folder / CANCEL).touch()
    if state == "failed":
        end(run_id, folder, "FAILED", FAILURE)
    if state == "cancelled":
        end(run_id, folder, "KILLED", "Cancelled.")
    if state == "interrupted":
        with sqlite3.connect(folder.parents[1] / stores.DATABASE) as database:  # a run that began just now may be about to take its lock
            database.execute("UPDATE runs SET start_time = start_time - 60000 WHERE run_uuid = ?", (run_id,))
        runs.settle(run_id)
    return run_id


@contextmanager
def held(workspace: Workspace) -> Iterator[Workspace]:
    """Hold the locks of the live runs, as their drivers would."""
    with ExitStack() as stack:
        for name in LIVE:
            if name in workspace.runs:
                lock = stack.enter_context((workspace.path(name) / processes.LOCK).open())
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield workspace


def copy(workspace: Workspace, folder: Path) -> Workspace:
    """A copy in another folder, whose store knows that it is there."""
    return workspace._replace(folder=stores.copy(workspace.folder, folder))


def create(spec: SubmittedSpec) -> tuple[str, Path]:
    """Record a run as `engine.runs.submit` does, without a driver; its id and its folder, with a lock that nobody holds."""
    kind, title, tags = described(spec)
    run_id = store.create(kind, title, spec, tags)
    folder = settings().runs / run_id
    folder.mkdir(parents=True)
    (folder / SPEC).write_text(spec.model_dump_json(indent=2))
    (folder / processes.LOCK).touch()
    return run_id, folder


@contextmanager
def trainer() -> Iterator[Any]:
    """Within, a function that trains a spec to its end in this process and returns the run's id."""
    with _as_only_rank(), _own_log():
        yield _train


def _train(spec: RunSpec) -> str:
    dataset = datasets.get_dataset(spec.dataset)
    spec = spec.resolved(dataset.schema)
    run_id, folder = create(spec)
    journal = Journal(folder)
    journal.event("turn came")
    if spec.model.module:
        importlib.import_module(spec.model.module).main(str(folder), str(dataset.path), 1)
    else:
        from workers.training.train import train_rank

        train_rank(str(folder), str(dataset.path), 1)
    finish(run_id, folder)
    return run_id


def _export(spec: ListExportSpec) -> str:
    """A finished export of lists."""
    from workers.exports import export

    run_id, folder = create(spec)
    export.main(str(folder), str(datasets.get_dataset(spec.dataset).path), 1)
    done = json.loads((folder / DONE).read_text())
    store.log_final(run_id, {name: value for name, value in done.items() if name != "attempt"})
    end(run_id, folder, "FINISHED")
    return run_id


def finish(run_id: str, folder: Path) -> None:
    """Tell the store what a run's process left, as its driver does."""
    done = json.loads((folder / DONE).read_text())
    logged = {f"test_{name}": value for name, value in done["metrics"].items() if name in METRICS}
    store.log_records(run_id, read_journal(folder / JOURNAL)[0])
    store.log_final(run_id, logged | {name: value for name, value in done.items() if name not in ("attempt", "metrics")})
    for name in (RESULTS, CHECKPOINT):
        store.log_folder(run_id, folder / name, name)
    end(run_id, folder, "FINISHED")


def end(run_id: str, folder: Path, status: store.Status, message: str | None = None) -> None:
    """Record a verdict, as a driver does last."""
    write_json(folder / VERDICT, {"status": status, "message": message, "time": 0})
    store.set_status(run_id, status, message)


@contextmanager
def _as_only_rank() -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(ranks.places(1)[0])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _own_log() -> Iterator[None]:
    """Give the root logger, which each run takes for its own log, back to the tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers = handlers
        root.setLevel(level)
