"""Open the model of a finished run."""

import json
from pathlib import Path

import pandas as pd

from workers.artifacts import CHECKPOINT, FUNNEL, RESULTS, SPEC, PreparedDataset, checked, checkpoint, index
from workers.boosting import load as load_trees
from workers.evaluation import catalogue
from workers.models import FunnelSpec, LightGBMSpec, MatrixSpec
from workers.networks import tables_on_meta
from workers.run import RunSpec
from workers.serving.opened_funnel import OpenedFunnel
from workers.serving.opened_matrix import OpenedMatrix
from workers.serving.opened_model import OpenedModel
from workers.serving.opened_network import OpenedNetwork
from workers.specs import FeatureSchema, Task


def open_run(run: Path, dataset: PreparedDataset) -> OpenedModel:
    """The best checkpoint of a finished run; of a funnel, those of its parts.

    Args:
        run: its folder. dataset: the one that it was trained on.

    Raises:
        ValueError: no complete checkpoint, one of another model, or an index or a funnel's order that was changed since.
    """
    funnel = RunSpec.read(run / SPEC).model
    if isinstance(funnel, FunnelSpec):
        parts = [open_run(run.parent / part, dataset) for part in (funnel.retriever, funnel.ranker)]
        vectors = index_of(run) or index_of(run.parent / funnel.retriever)
        return OpenedFunnel(parts[0], parts[1], vectors, funnel.candidates, funnel_weight(checked(run, f"{RESULTS}/{FUNNEL}")))
    return open_checkpoint(checkpoint.best(run / CHECKPOINT), catalogue(dataset.folder), dataset.schema, dataset.task)


def open_checkpoint(folder: Path, items: pd.DataFrame, schema: FeatureSchema, task: Task) -> OpenedModel:
    """The model of one checkpoint whose digests were compared; tables stay in its files.

    Args:
        items: the catalogue, as `workers.evaluation.catalogue` reads it. schema, task: of the dataset that it was trained on.

    Raises:
        ValueError: it is not whole, or of another model.
    """
    facts = checkpoint.facts(folder)
    spec = RunSpec.model_validate(facts["spec"])  # with the settings that tuning or the dataset chose
    if isinstance(spec.model, MatrixSpec):
        matrix = spec.model.build()
        matrix.load(checkpoint.load_arrays(folder))
        return OpenedMatrix(items, matrix)
    if isinstance(spec.model, LightGBMSpec):
        return OpenedNetwork(items, load_trees(folder, spec.model, schema, task), schema)
    with tables_on_meta():
        model = spec.network.build(FeatureSchema.model_validate(facts["schema"]), task)
    checkpoint.load_whole(folder, model)
    return OpenedNetwork(items, model, schema)


def index_of(run: Path) -> index.Index | None:
    """The index of a run's items; None where there is none."""
    for name in (index.FILE, index.FACTS):
        checked(run, f"{RESULTS}/{name}")
    return index.load(run / RESULTS)


def funnel_weight(facts: Path) -> float | None:
    """The weight of the retriever's score in a measured funnel, None where it orders alone; 0 in a funnel that is not measured yet."""
    weight = json.loads(facts.read_text()).get("order", {}).get("weight", 0.0) if facts.is_file() else 0.0
    return None if weight is None else float(weight)
