"""How fast runs were on this machine: a small file in the workspace that every finished run adds to."""

import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

from engine.settings import settings
from workers.artifacts import DONE, JOURNAL, SPEC, write_json
from workers.run import RunSpec, read_journal

FILE = "rates.json"
MOST = 20  # the newest measurements of each kind of run
log = logging.getLogger(__name__)


class Rate(NamedTuple):
    """One finished run."""

    rows_per_s: float
    others_s: float  # from the first event to the last, without training: the start, validation, evaluation; of each trial of a search
    rows: int = 1  # of train that the model learns from
    whole_s: float = 0.0  # from the first event to the last; of each trial of a search


def learn(folder: Path, rows: int) -> None:
    """Add what a finished run measured. A failure is logged only: the run itself has succeeded.

    Args:
        folder: of the run. rows: liked rows of train, which fitted models read.
    """
    try:
        spec, done = RunSpec.read(folder / SPEC), json.loads((folder / DONE).read_text())
        times = [record["time"] for record in read_journal(folder / JOURNAL)[0]]
        if not done.get("rows_per_s") or not done.get("training_s"):
            return
        whole = max(times) - min(times) if times else done["training_s"]
        trials = done.get("trials", 1)
        rate = Rate(done["rows_per_s"], max(0.0, whole - done["training_s"]) / trials, max(1, rows), whole / trials)
        known = _read()
        known[key(spec)] = [*known.get(key(spec), []), rate._asdict()][-MOST:]
        write_json(settings().workspace / FILE, known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("the rate of this run is not kept: %s", error)


def measured(spec: RunSpec) -> list[Rate]:
    """What runs of this kind measured on this machine, the oldest first; empty where none has finished yet."""
    try:
        return [Rate(**one) for one in _read().get(key(spec), [])]
    except (TypeError, AttributeError) as error:
        log.warning("%s cannot be read: %s", settings().workspace / FILE, error)
        return []


def key(spec: RunSpec) -> str:
    """Model, device, processes and the power of two at or below the batch size: runs of one kind are about as fast."""
    train = spec.train
    if spec.model.module is not None:
        return f"{spec.model.kind}{', a trial' if spec.budget else ''}"
    return f"{spec.model.kind}, {train.device}, processes {train.processes}, batch {1 << (train.batch_size.bit_length() - 1)}"


def _read() -> dict[str, list[dict[str, Any]]]:
    try:
        found: dict[str, list[dict[str, Any]]] = json.loads((settings().workspace / FILE).read_text())
        return found
    except (OSError, ValueError):
        return {}
