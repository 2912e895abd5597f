"""Two-tower or ranker: what this dataset measured of the best of each, to stand beside what is said of them in general."""

import math
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from engine import datasets, runs
from workers.artifacts import METRICS
from workers.models import MODELS, NetworkSpec
from workers.specs import Task

if TYPE_CHECKING:
    from engine.compare.comparison import Comparison, Contender

JUDGED_BY = {"retrieval": ("ndcg_at_10",), "ranking": ("auc", "rmse", "class_log_loss", "accuracy", "action_auc")}
SAID = {"ndcg_at_10", *JUDGED_BY["ranking"]}


class Measured(BaseModel):
    """One contender's facts; None where nothing was measured or is known."""

    model_config = ConfigDict(frozen=True)

    letter: str
    name: str
    train_rows: int | None
    liked_alone: bool  # whether it learns from liked rows only; then train_rows counts those
    reads: tuple[str, ...] | None
    features: int | None  # how many the dataset has
    outputs: str | None
    metrics: dict[str, float]
    costs: list[tuple[str, float, str]]  # fact, value, unit


def guide(comparison: "Comparison") -> dict[str, Measured | None]:
    """The best two-tower-like network and the best ranker among the contenders: under "retrieval" and "ranking", None where there is none.

    Best by NDCG@10, and by AUC (where the dataset asks for another output, by that one's metric): the first of JUDGED_BY that was measured.
    """
    found = {stage: _best(comparison, stage) for stage in JUDGED_BY}
    return {stage: None if one is None else _measured(comparison, one, stage) for stage, one in found.items()}


def _best(comparison: "Comparison", stage: str) -> "Contender | None":
    those = [c for c in comparison.contenders if c.run_id and _is_network(c.model) and MODELS[c.model].stage == stage]
    for key in JUDGED_BY[stage]:
        values = {c.letter: value for c in those if (value := _metrics(comparison, c.letter).get(key)) is not None}
        if values:
            best = (min if METRICS[key].better == "lower" else max)(values, key=values.__getitem__)
            return next(c for c in those if c.letter == best)
    return those[0] if those else None


def _is_network(model: str) -> bool:
    found = MODELS.get(model)
    return found is not None and issubclass(found, NetworkSpec)


def _metrics(comparison: "Comparison", letter: str) -> dict[str, float]:
    table = comparison.table
    rows = table[(table["contender"] == letter) & table["value"].notna()]
    return {key: float(value) for key, value in zip(rows["metric"], rows["value"], strict=True) if key in SAID}


def _measured(comparison: "Comparison", one: "Contender", stage: str) -> Measured:
    told: dict[str, Any] = {"train_rows": None, "liked_alone": False, "reads": None, "features": None, "outputs": None}
    try:
        spec = runs.get_run(one.run_id or "").training
        told |= _of_dataset(datasets.get_dataset(comparison.dataset), spec.model, stage)
    except (LookupError, ValueError):  # the dataset is gone, or the run is of another version
        pass
    costs = [
        (str(row["fact"]), float(row[one.letter]), str(row["unit"] or ""))
        for row in comparison.costs.to_dict("records")
        if one.letter in row and row[one.letter] is not None and math.isfinite(row[one.letter])
    ]
    return Measured(letter=one.letter, name=one.name, metrics=_metrics(comparison, one.letter), costs=costs, **told)


def _of_dataset(dataset: datasets.Dataset, model: Any, stage: str) -> dict[str, Any]:
    """What a model has of a dataset: its rows, features and outputs."""
    schema, counts = dataset.schema, dataset.manifest["counts"]
    reads = [f.name for f in schema.categorical if _is_read(model, f.name, f.side)]
    reads += [f.name for f in schema.dense if _is_read(model, f.name, f.side)]
    liked_alone = getattr(model, "objective", None) == "softmax"
    return {
        "train_rows": counts.get("positives" if liked_alone else "interactions", {}).get("train"),
        "liked_alone": liked_alone,
        "reads": tuple(reads),
        "features": len(schema.categorical) + len(schema.dense),
        "outputs": _outputs(model, Task.of(dataset.manifest["label"]), stage),
    }


def _is_read(model: Any, name: str, side: str) -> bool:
    """As `workers.networks.ranker.used` has it, of which this floor may import nothing; a test holds the two together."""
    by_name = {"user_id": getattr(model, "user_id", True), "history": getattr(model, "history", True), "item_id": True}
    of_side = getattr(model, "item_features" if side == "item" else "user_features", True)
    return bool(by_name.get(name, of_side))


def _outputs(model: Any, task: Task, stage: str) -> str:
    """What the scores are."""
    told = {
        "binary": "the probability of a like",
        "regression": "the value of a row",
        "multi_class": f"one of {len(task.classes)} classes",
        "actions": f"{len(task.classes)} actions",
    }[task.output]
    said = "scores that order the catalogue" if model.learns_choice else told
    return f"{said}, and embeddings for a vector index" if stage == "retrieval" else said
