"""Resume a training that ended before it was done: the same run goes on in its folder, from its newest checkpoint, as its next attempt."""

import fcntl
import json
import os
import shutil
from pathlib import Path

from engine import datasets, locks
from engine.runs import owners, read, store
from engine.runs.launch import CONCLUDES, PROCESSES, start_driver
from engine.runs.processes import LOCK, is_alive
from engine.runs.read import VERDICT, Run, RunState
from engine.runs.settle import settle
from engine.settings import settings
from workers.artifacts import CANCEL, PROGRESS, STOPPED, write_json
from workers.models import ModelSpec
from workers.run import attempts

DATASET = "dataset.json"  # in the run folder: the dataset that the first attempt trained on
UNFINISHED = (RunState.INTERRUPTED, RunState.FAILED, RunState.CANCELLED)
MOST_PROCESSES = 1024


def why_not_resumable(run: Run) -> str | None:
    """Why a run cannot be resumed, in a sentence that says what to do instead; None where it can."""
    if run.kind != "train":
        return f"{run.title} is a {read.KIND_NAMES[run.kind]}; only a training run can be resumed. Launch it again."
    if run.live:
        return f"{run.title} is {run.state.value}; wait for it, or stop it first."
    if run.state not in UNFINISHED:
        return f"{run.title} is {run.state.value}; there is nothing left to train. Continue it for more epochs as a new run."
    if (spec := run.spec) is None:
        return run.unreadable
    if not isinstance(model := getattr(spec, "model", None), ModelSpec) or not model.keeps:
        return f"{run.title} is fitted at once and has no checkpoints; launch it again."
    if not has_checkpoint(run.run_id):
        return f"{run.title} ended before its first checkpoint, or its folder is not in this workspace; launch it again."
    try:
        return _other_dataset(settings().runs / run.run_id, datasets.get_dataset(run.dataset or ""))
    except LookupError as error:
        return str(error.args[0])


def hold_dataset(folder: Path, dataset: datasets.Dataset) -> None:
    """Write down what a run trains on, at its first attempt. ValueError: a later attempt finds another dataset under that id."""
    if reason := _other_dataset(folder, dataset):
        raise ValueError(reason)
    write_json(folder / DATASET, {"dataset": dataset.id, "fingerprint": dataset.manifest["fingerprint"]})


def _other_dataset(folder: Path, dataset: datasets.Dataset) -> str | None:
    """Why a run cannot go on where its dataset was prepared anew since it began; None where it is the same, or none was written down."""
    try:
        known = json.loads((folder / DATASET).read_text())
    except (OSError, ValueError):
        return None
    if known["fingerprint"] == dataset.manifest["fingerprint"]:
        return None
    return f"Dataset {dataset.id} was prepared anew since this run began, and is no longer the same; launch the run again."


def has_checkpoint(run_id: str) -> bool:
    """Whether the folder of a run has a complete checkpoint; its digests are checked when it is read."""
    return any((settings().runs / run_id).glob(read.WHOLE))


def resume(run_id: str, processes: int | None = None, concludes: bool = False) -> str:
    """Let a run that was interrupted, failed or stopped go on from its newest checkpoint; returns its id at once.

    Args:
        processes: ranks of the next attempt; None: as before.
        concludes: train no more, but measure the best epoch so far, so that it can be compared and browsed as it is.

    Raises:
        LookupError: no such run. ValueError: the run cannot be resumed; says why and what to do.
    """
    if processes is not None and not 1 <= processes <= MOST_PROCESSES:
        raise ValueError(f"processes is {processes}; choose 1 to {MOST_PROCESSES:,}.")
    settle(run_id)
    with locks.held(".submit.lock", 60, "Another submission"):
        run = read.get_run(run_id)
        if is_alive(run_id) or (reason := why_not_resumable(run)):
            raise ValueError(reason if not is_alive(run_id) else f"{run.title} is still at work; wait for it, or stop it first.")
        folder = settings().runs / run_id
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, settings().file_mode)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # from now on it is alive, so that nobody settles it
        try:
            for tag in ("message", "interrupted"):
                store.drop_tag(run_id, tag)
            for tag, value in owners.tags_of_here().items():
                if tag in (owners.HOST, owners.BOOT):  # its driver runs here from now on
                    store.set_tag(run_id, tag, value)
            store.set_status(run_id, "SCHEDULED")
            _set_aside(folder)
        except BaseException:
            os.close(lock)
            raise
        variables = {} if processes is None else {PROCESSES: str(processes)}
        start_driver(run_id, run.kind, folder, lock, variables | ({CONCLUDES: "yes"} if concludes else {}))
    return run_id


def _set_aside(folder: Path) -> None:
    """Move what says how the last attempt ended to a folder of that attempt."""
    number = attempts.current(folder).number
    aside = folder / f"attempt-{number}"
    aside.mkdir(exist_ok=True)
    attempts.set_errors_aside(folder, number)
    for name in (VERDICT, STOPPED, CANCEL, PROGRESS):
        if (folder / name).exists():
            os.replace(folder / name, aside / name)
    shutil.rmtree(folder / "tmp", ignore_errors=True)
