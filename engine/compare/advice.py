"""Two-tower or ranker: results of the best of each on this dataset, to show beside what is true of both in general."""

import math

from pydantic import BaseModel, ConfigDict

from engine import datasets, runs
from engine.compare.contenders import Comparison, Contender
from workers.artifacts import METRICS
from workers.models import MODELS, MatrixSpec, ModelSpec, NetworkSpec
from workers.specs import Task

JUDGED_BY = {"retrieval": ("ndcg_at_10",), "ranking": ("auc", "rmse", "class_log_loss", "accuracy", "action_auc")}
SHOWN = {"ndcg_at_10", *JUDGED_BY["ranking"]}


class StageFacts(BaseModel):
    """One contender's facts; None where nothing was measured or is known."""

    model_config = ConfigDict(frozen=True)

    letter: str
    name: str
    train_rows: int | None = None
    liked_alone: bool = False  # whether it learns from liked rows only; then train_rows counts those
    reads: tuple[str, ...] | None = None
    features: int | None = None  # how many the dataset has
    outputs: str | None = None
    metrics: dict[str, float]
    costs: list[tuple[str, float, str]]  # fact, value, unit


def guide(comparison: Comparison) -> dict[str, StageFacts | None]:
    """The best retriever and the best ranker that read features: under "retrieval" and "ranking", None where there is none.

    Best by NDCG@10, and by AUC (where the dataset asks for another output, by that one's metric): the first of JUDGED_BY that was measured.
    """
    best = {stage: _best(comparison, stage) for stage in JUDGED_BY}
    return {stage: None if one is None else _measured(comparison, one, stage) for stage, one in best.items()}


def _best(comparison: Comparison, stage: str) -> Contender | None:
    those = [c for c in comparison.contenders if c.run_id and _is_trained(c.model) and MODELS[c.model].stage == stage]
    for key in JUDGED_BY[stage]:
        values = {c.letter: value for c in those if (value := _metrics(comparison, c.letter).get(key)) is not None}
        if values:
            best = (min if METRICS[key].better == "lower" else max)(values, key=values.__getitem__)
            return next(c for c in those if c.letter == best)
    return those[0] if those else None


def _is_trained(model: str) -> bool:
    """Whether it reads features, as networks and trees do; baselines read who liked what alone."""
    spec = MODELS.get(model)
    return spec is not None and not issubclass(spec, MatrixSpec)


def _metrics(comparison: Comparison, letter: str) -> dict[str, float]:
    table = comparison.table
    rows = table[(table["contender"] == letter) & table["value"].notna()]
    return {key: float(value) for key, value in zip(rows["metric"], rows["value"], strict=True) if key in SHOWN}


def _measured(comparison: Comparison, one: Contender, stage: str) -> StageFacts:
    costs = [
        (str(row["fact"]), float(row[one.letter]), str(row["unit"] or ""))
        for row in comparison.costs.to_dict("records")
        if one.letter in row and row[one.letter] is not None and math.isfinite(row[one.letter])
    ]
    facts = StageFacts(letter=one.letter, name=one.name, metrics=_metrics(comparison, one.letter), costs=costs)
    try:
        spec = runs.get_run(one.run_id or "").training
        return _with_dataset(facts, datasets.get_dataset(comparison.dataset), spec.model, stage)
    except (LookupError, ValueError):  # the dataset is gone, or the run is of another version
        return facts


def _with_dataset(facts: StageFacts, dataset: datasets.Dataset, model: ModelSpec, stage: str) -> StageFacts:
    """With the rows, features and outputs that a model has of a dataset."""
    schema, counts = dataset.schema, dataset.manifest["counts"]
    reads = [f.name for f in schema.categorical if _is_read(model, f.name, f.side)]
    reads += [f.name for f in schema.dense if _is_read(model, f.name, f.side)]
    liked_alone = model.reads_order or (isinstance(model, NetworkSpec) and model.liked_only)
    return facts.model_copy(
        update={
            "train_rows": counts.get("positives" if liked_alone else "interactions", {}).get("train"),
            "liked_alone": liked_alone,
            "reads": tuple(reads),
            "features": len(schema.categorical) + len(schema.dense),
            "outputs": _outputs(model, Task.of(dataset.manifest["label"]), stage),
        }
    )


def _is_read(model: ModelSpec, name: str, side: str) -> bool:
    """As in `workers.networks.ranker.used`, which this floor may not import; a test compares the two."""
    if model.reads_order:
        return name == "item_id"  # and the likes in order of time, which are no feature of a row
    by_name = {"user_id": getattr(model, "user_id", True), "history": getattr(model, "history", True), "item_id": True}
    of_side = getattr(model, "item_features" if side == "item" else "user_features", True)
    return bool(by_name.get(name, of_side))


def _outputs(model: ModelSpec, task: Task, stage: str) -> str:
    """What the scores are."""
    by_output = {
        "binary": "the probability of a like",
        "regression": "the value of a row",
        "multi_class": f"one of {len(task.classes)} classes",
        "actions": f"{len(task.classes)} actions",
    }
    output = "scores that order the catalogue" if getattr(model, "learns_choice", False) else by_output[task.output]
    return f"{output}, and embeddings for a vector index" if stage == "retrieval" else output
