"""Results of runs: curves, metrics per user, predictions. From the run folder, else from MLflow. Reading writes nothing."""

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import datasets
from engine.runs import fetching, read, store
from engine.settings import settings
from workers.artifacts import (
    DONE,
    IMPORTANCE,
    ITEMS,
    JOURNAL,
    METRICS,
    OUTPUTS,
    PER_USER,
    PREDICTIONS,
    RATED_SETS,
    RESULTS,
    SCORED,
    TOP_K,
    USERS,
    DamagedError,
    read_done,
)
from workers.run import read_curve
from workers.search import trial_folder

if TYPE_CHECKING:
    import pandas as pd


class Gain(NamedTuple):
    """How much a feature helped trees."""

    feature: str
    share: float  # of the gain of all splits


COMPARED = (PER_USER, TOP_K, SCORED, RATED_SETS, OUTPUTS)  # the results that comparisons read
HISTORIES = ("train_loss", "rows_per_s", *(f"valid_{key}" for key in METRICS))


def history(run_id: str, trial: int | None = None) -> "pd.DataFrame":
    """Curves of a run: metric, step, epoch, rows, time_s (since the first point), value. From the journal, else from MLflow.

    One curve over all attempts of a run: one value a step, and pauses between attempts take no time.

    Args:
        trial: of a search, from 1: the curves of that trial, empty where its folder is gone. None: of a search a point a trial.
    """
    folder = settings().runs / read.get_run(run_id).run_id
    path = (folder if trial is None else trial_folder(folder, trial - 1)) / JOURNAL
    curve = _curve(path, path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else None
    if trial is not None:
        return _frame([]) if curve is None else curve.copy()
    if curve is not None and len(curve):
        return curve.copy()
    return _frame([(name, step, None, None, ms / 1000, value) for name in HISTORIES for step, ms, value in store.points(run_id, name)])


@functools.lru_cache(maxsize=16)
def _curve(path: Path, size: int, changed_ns: int) -> "pd.DataFrame":
    """The curve in a journal; cached by its size and time of change, since live pages of many sessions read it every two seconds."""
    return _frame(
        [
            (name, record["step"], record["epoch"], record["rows"], record["time"], value)
            for record in read_curve(path)
            for name, value in record["values"].items()
        ]
    )


def _frame(points: list[tuple[str, int, int | None, int | None, float, float | None]]) -> "pd.DataFrame":
    import pandas as pd

    frame = pd.DataFrame(points, columns=["metric", "step", "epoch", "rows", "time_s", "value"])
    frame["time_s"] -= frame["time_s"].min() if len(frame) else 0
    frame["value"] = pd.to_numeric(frame["value"])
    return frame


def result_file(run_id: str, name: str) -> Path:
    """Where a result of a finished run is, by the name of its file: fetched where the run is not in this workspace; it may be missing.

    Raises:
        ValueError: it is there, and is not what the run wrote.
    """
    relative = f"{RESULTS}/{name}"
    try:
        return fetching.located(run_id, relative)
    except fetching.UnreachableError:
        return settings().runs / run_id / relative  # missing; `why_incomplete` says why


def why_incomplete(run_id: str) -> str | None:
    """Why comparisons lack what a finished run wrote, in a sentence; None where all of it is here, or was fetched."""
    return fetching.missing(run_id, [f"{RESULTS}/{name}" for name in COMPARED])


def damage_of(run_id: str) -> str | None:
    """Why what comparisons read of a run cannot be trusted, in a sentence; None where each file is what the run wrote."""
    try:
        for name in COMPARED:
            result_file(run_id, name)
    except DamagedError as error:
        return str(error)
    return None


def per_user(run_id: str) -> "pd.DataFrame":
    """Per-user test metrics of a finished run; LookupError when they cannot be had, ValueError when they were changed."""
    path = result_file(read.get_run(run_id).run_id, PER_USER)
    if not path.is_file():
        raise LookupError(why_incomplete(run_id) or f"The per-user results of run {run_id} are not in this workspace.")
    return _per_user(path, path.stat().st_mtime_ns).copy()


@functools.lru_cache(maxsize=32)
def _per_user(path: Path, changed_ns: int) -> "pd.DataFrame":
    """Cached by the time of change: a comparison reads it for each pair and metric."""
    import pandas as pd

    return pd.read_parquet(path)


def done(run_id: str) -> dict[str, Any]:
    """The results of a finished run: metrics, standard errors, cost; empty before. ValueError: done.json was cut or changed."""
    try:
        return read_done(fetching.located(read.get_run(run_id).run_id, DONE).parent)
    except (FileNotFoundError, fetching.UnreachableError):
        return {}


def alarms(run_id: str) -> list[str]:
    """Warnings that a finished model is degenerate, one sentence each."""
    return list(done(run_id).get("alarms", []))


def outputs(run_id: str) -> dict[str, Any]:
    """Tables for charts of the predictions of a finished run: `output`, then by output `reliability`, `residuals`, `classes` and
    `confusion`, or `actions` (see `workers.evaluation.outputs`). Empty where its scores predict no labels; ValueError where they
    were changed."""
    path = result_file(read.get_run(run_id).run_id, OUTPUTS)
    return json.loads(path.read_text()) if path.is_file() else {}


def gains(run_id: str) -> list[Gain]:
    """The share of each feature in the gain of all splits of a finished run's trees, the largest first; empty for a model without trees.

    ValueError: they were changed since.
    """
    path = result_file(run_id, IMPORTANCE)
    return [Gain(str(one["feature"]), float(one["share"])) for one in json.loads(path.read_text())] if path.is_file() else []


def predictions(run_id: str) -> "pd.DataFrame":
    """A sample of test rows with predictions: user_id, item_id, title (where the dataset has them), label, target, predicted.

    `predicted` is a probability, a value, or a list: the probability of each class or action. Empty where the model predicts no labels.
    ValueError: they were changed since.
    """
    import pandas as pd

    run = read.get_run(run_id)
    path = result_file(run.run_id, PREDICTIONS)
    if not path.is_file():
        return pd.DataFrame({"label": [], "target": [], "predicted": []})
    rows = pd.read_parquet(path)
    dataset = datasets.get_dataset(run.dataset or "")
    for side, name, more in (("user", USERS, []), ("item", ITEMS, ["title"])):
        known = dataset.path / name
        if getattr(dataset.schema, f"has_{side}s") and known.exists():
            table = pd.read_parquet(known, columns=["row", f"{side}_id", *more], filters=[("row", "in", rows[side].unique().tolist())])
            table = table[table["row"] > 0].drop_duplicates("row")
            rows = rows.merge(table.rename(columns={"row": side}), on=side, how="left")
    single = rows["predicted"].map(len).max() == 1 if len(rows) else True
    shown = rows.assign(predicted=rows["predicted"].map(lambda numbers: float(numbers[0]) if single else [float(n) for n in numbers]))
    order = [name for name in ("user_id", "item_id", "title", "label", "target", "predicted") if name in shown]
    return shown[order]
