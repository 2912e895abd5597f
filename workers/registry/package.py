"""The folder that a model leaves the workbench in: weights, catalogue, index, users, and a record of what they are.

It holds no path of a machine and no pickle, so that it opens wherever our code and its requirements are installed.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import Field, SerializeAsAny, field_validator

from workers.artifacts import (
    BEST,
    CHECKPOINT,
    FEATURE,
    FUNNEL,
    INDEX,
    ITEMS,
    RESULTS,
    SPEC,
    USERS,
    PreparedDataset,
    checked,
    index,
    write_json,
)
from workers.evaluation import catalogue
from workers.models import KINDS, FunnelSpec, MatrixSpec, ModelSpec
from workers.registry.people import Report, write_people
from workers.run import RunSpec, pick
from workers.specs import FeatureSchema, Spec, Task

if TYPE_CHECKING:
    import pandas as pd

    from workers.serving import OpenedModel

RECORD, ARRAYS, WEIGHTS = "package.json", "weights.safetensors", "weights"
COLUMNS = ("row", "item_id", "title", "genres", "train_positives")
BYTES_OF_A_LIKE, BYTES_OF_A_USER = 12, 60  # of an interaction and of a user, about: rows of lists, an id and its place


class Package(Spec):
    """What a folder holds."""

    format: int = Field(1, description="Of the folder")
    title: str
    dataset: str = Field(description="Id of the dataset that it was trained on")
    features: FeatureSchema
    task: Task
    model: SerializeAsAny[ModelSpec]
    stages: tuple[SerializeAsAny[ModelSpec], ...] = Field(description="The models behind it, first the retriever of a funnel; else itself")
    weight: float | None = Field(0.0, description="Of the retriever's score in a funnel; empty: it alone orders")
    exclude_seen: bool = Field(description="Whether it was evaluated without items that users had met")
    users: int = Field(description="That it knows by id; 0: it takes likes alone")

    @field_validator("model", mode="before")
    @classmethod
    def _by_kind(cls, value: object) -> object:
        return pick(value, KINDS, "model")

    @field_validator("stages", mode="before")
    @classmethod
    def _each_by_kind(cls, value: object) -> object:
        return tuple(pick(one, KINDS, "model") for one in value) if isinstance(value, list | tuple) else value

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises OSError without a record; ValueError where it is of another version."""
        return cls.model_validate_json((folder / RECORD).read_text(encoding="utf-8"))


class Sizes(NamedTuple):
    """Bytes that a package takes, before it is written: of weights and index at most, of the others about."""

    weights: int
    vectors: int  # of the index
    items: int
    people: int

    @property
    def whole(self) -> int:
        return sum(self)


def package_sizes(run: Path, dataset: PreparedDataset, users: bool = True) -> Sizes:
    """How large the package of a finished run will be. Imports no torch. Arguments as in `write_package`.

    Raises:
        OSError or ValueError: the run has no whole checkpoint.
    """
    weights = sum(_weights_size(folder / CHECKPOINT) for folder, _ in stages_of(run))
    interactions = sum(dataset.interactions.get(split, 0) for split in dataset.known_at_test)
    people = 2 * _size(dataset.folder / USERS) + BYTES_OF_A_LIKE * interactions + BYTES_OF_A_USER * int(dataset.counts.get("users", 0))
    return Sizes(weights, _index_size(run), _size(dataset.folder / ITEMS), people if users else 0)


def stages_of(run: Path) -> list[tuple[Path, RunSpec]]:
    """The folders and the specs of the runs whose models are opened: the run's own, or those of the parts of a funnel."""
    spec = RunSpec.read(run / SPEC)
    if isinstance(spec.model, FunnelSpec):
        return [one for part in (spec.model.retriever, spec.model.ranker) for one in stages_of(run.parent / part)]
    return [(run, spec)]


def write_package(run: Path, dataset: PreparedDataset, folder: Path, title: str, users: bool, report: Report) -> Package:
    """Write the package of a finished run to a new folder; the record last, so that a folder with a record is whole.

    Args:
        run: its folder; the parts of a funnel are beside it. users: whether users of the dataset are known by their ids.

    Raises:
        ValueError: a checkpoint or a result is not what the run wrote. OSError: the folder cannot be written.
    """
    from workers.serving import funnel_weight, open_run

    spec, stages = RunSpec.read(run / SPEC), stages_of(run)
    opened = open_run(run, dataset)
    folder.mkdir(parents=True)
    report("items", 0, 1)
    write_items(opened.items, folder)
    models = []
    for number, (part, _) in enumerate(stages):
        report("weights", number, len(stages))
        models.append(_write_weights(_weights(part), folder, number))
    _copy_index(run, folder)
    networks = any(not isinstance(model, MatrixSpec) for model in models)
    package = Package(
        title=title,
        dataset=spec.dataset,
        features=dataset.schema,
        task=dataset.task,
        model=spec.model if isinstance(spec.model, FunnelSpec) else models[0],
        stages=tuple(models),
        weight=funnel_weight(checked(run, f"{RESULTS}/{FUNNEL}")) if isinstance(spec.model, FunnelSpec) else 0.0,
        exclude_seen=spec.protocol.exclude_seen,
        users=write_people(dataset, opened, folder, networks, report) if users else 0,
    )
    write_json(folder / RECORD, package.model_dump(mode="json"))
    return package


def write_items(items: "pd.DataFrame", folder: Path) -> None:
    """Write what models and lists read of a catalogue, so that `workers.evaluation.catalogue` reads it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*COLUMNS, *(name for name in items if str(name).startswith(FEATURE))]
    table = pa.Table.from_pandas(items[names], preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), folder / ITEMS)  # pandas does not read its own name of Arrow's lists


def open_package(folder: Path) -> "tuple[Package, OpenedModel]":
    """The model of a package; its weights stay in their files. Raises OSError or ValueError: it is not whole."""
    package, items = Package.read(folder), catalogue(folder)
    models = [_open_stage(folder, number, model, items, package) for number, model in enumerate(package.stages)]
    if not isinstance(package.model, FunnelSpec):
        return package, models[0]
    from workers.serving import OpenedFunnel

    return package, OpenedFunnel(models[0], models[1], index.load(folder), package.model.candidates, package.weight)


def _open_stage(folder: Path, number: int, model: ModelSpec, items: "pd.DataFrame", package: Package) -> "OpenedModel":
    if isinstance(model, MatrixSpec):
        from safetensors.numpy import load_file

        from workers.serving import OpenedMatrix

        matrix = model.build()
        matrix.load(load_file(folder / f"{WEIGHTS}{number}" / ARRAYS))
        return OpenedMatrix(items, matrix)
    from workers.artifacts import checkpoint
    from workers.serving import open_checkpoint

    return open_checkpoint(checkpoint.best(folder / f"{WEIGHTS}{number}"), items, package.features, package.task)


def _write_weights(weights: Path, folder: Path, number: int) -> ModelSpec:
    """Copy the weights of one model, without what only a training needs; returns its settings, as the checkpoint has them."""
    from workers.artifacts import checkpoint, copy_weights

    facts, target = _facts(weights), folder / f"{WEIGHTS}{number}"
    model = RunSpec.model_validate(facts["spec"]).model
    if isinstance(model, MatrixSpec):
        from safetensors.numpy import save_file

        target.mkdir()
        save_file(checkpoint.load_arrays(weights), target / ARRAYS)
        return model
    copy_weights(weights, target)
    return model


def _weights(run: Path) -> Path:
    from workers.artifacts import checkpoint

    return checkpoint.best(run / CHECKPOINT)


def _weights_size(root: Path) -> int:
    """Bytes of the best checkpoint of a run, with the states of optimizers, which a package leaves out."""
    best = Path(json.loads((root / BEST).read_text(encoding="utf-8"))["folder"]).name
    return sum(entry["bytes"] for entry in json.loads((root / best / INDEX).read_text(encoding="utf-8"))["files"].values())


def _facts(folder: Path) -> dict[str, Any]:
    from workers.artifacts import checkpoint

    return checkpoint.facts(folder)


def _index_of(run: Path) -> Path | None:
    """The folder with the index that a funnel searches: its own, else its retriever's; None for other models, and without an index."""
    model = RunSpec.read(run / SPEC).model
    if not isinstance(model, FunnelSpec):
        return None
    folders = (run / RESULTS, run.parent / model.retriever / RESULTS)
    return next((folder for folder in folders if (folder / index.FACTS).is_file()), None)


def _index_size(run: Path) -> int:
    folder = _index_of(run)
    return _size(folder / index.FILE) if folder else 0


def _copy_index(run: Path, folder: Path) -> None:
    if (source := _index_of(run)) is None:
        return
    for name in (index.FILE, index.FACTS):
        shutil.copyfile(checked(source.parent, f"{RESULTS}/{name}"), folder / name)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
