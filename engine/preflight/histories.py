"""Whether the histories of a dataset suit the question of a run: where it asks what comes next, they should hold what came before."""

from engine.datasets import Dataset, DatasetSpec
from engine.preflight.judgement import Item
from workers.run import RunSpec
from workers.specs import TARGETS

HISTORY = "History"  # the name of the item


def histories(spec: RunSpec, dataset: Dataset) -> list[Item]:
    """An item with advice where training would read what was liked after its rows, and the run asks for an order."""
    model, target = spec.model, spec.protocol.target
    reads = dataset.schema.has_history and getattr(model, "history", False)
    pooling = getattr(model, "history_pooling", "mean")
    if not reads or (target == "later" and pooling == "mean") or _order(dataset) != "others":
        return []
    if not dataset.schema.sequence:
        return _unordered(pooling)
    asked = f"The run asks for {TARGETS[target]}" if target != "later" else f"history_pooling {pooling} weighs likes by how new they are"
    advice = f"{asked}: prepare the dataset again with history_order before, so that a history holds what was liked before its row alone."
    return [Item(name=HISTORY, value="of each row of train also what was liked after it", level="warning", advice=advice)]


def with_earlier_histories(dataset: Dataset) -> DatasetSpec | None:
    """The spec of the same dataset with histories of what came before; None where it has them, or where its rows have no order."""
    if _order(dataset) != "others" or not dataset.schema.sequence:
        return None
    return DatasetSpec.model_validate(dataset.manifest["spec"] | {"history_order": "before"})


def _unordered(pooling: str) -> list[Item]:
    if pooling == "mean":
        return []
    advice = f"history_pooling {pooling} weighs likes by how new they are; choose mean, or map a column of times."
    return [Item(name=HISTORY, value="in no order of time", level="warning", advice=advice)]


def _order(dataset: Dataset) -> str | None:
    return dataset.manifest.get("spec", {}).get("history_order")
